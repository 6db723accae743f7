/**
 * How a secret may look once something has encoded it.
 *
 * Guarantees: every text in which the secret stands raw, URL-encoded, JSON-escaped, in base64 of any of these (either
 * alphabet, at any alignment inside a longer base64 text), in base64 of its base64, or line by line, contains one of
 * the spellings.
 */

/** One text to look for. */
export interface Spelling {
  readonly text: string;
  /**
   * Characters before `text` (0 or 1) and after it (0 or 1, and padding) that hold bits of the secret together with
   * bits of its neighbours; only base64 inside a longer text has them.
   */
  readonly before: 0 | 1;
  readonly after: 0 | 1;
}

/** Shorter secrets are not looked for: they would match everywhere. */
export const MIN_SECRET_LENGTH = 4;
/** Shorter lines of a secret that has several lines are looked for only as part of the whole. */
export const MIN_LINE_LENGTH = 16;
/** Longer secrets are not looked for in base64 of base64. */
const MAX_TWICE_ENCODED = 1024;

/** Every spelling of `secret`, without repeats; none when it is shorter than `MIN_SECRET_LENGTH` characters. */
export function spellingsOf(secret: string): readonly Spelling[] {
  const found = new Map<string, Spelling>();
  const add = (text: string, before: 0 | 1 = 0, after: 0 | 1 = 0) => {
    if (text.length >= MIN_SECRET_LENGTH && !found.has(text)) found.set(text, { text, before, after });
  };
  for (const part of partsOf(secret)) {
    add(part);
    for (const text of jsonForms(part)) add(text);
    for (const text of urlForms(part)) add(text);
    const bytes = new TextEncoder().encode(part);
    // A base64 text is often that of a JSON document or of a form.
    for (const inner of new Set([part, ...jsonForms(part), ...urlForms(part)])) {
      for (const spelling of base64Forms(new TextEncoder().encode(inner))) {
        add(spelling.text, spelling.before, spelling.after);
      }
    }
    if (bytes.length > MAX_TWICE_ENCODED) continue;
    for (const inner of new Set([base64(bytes), base64(bytes).replaceAll("=", "")])) {
      for (const spelling of base64Forms(new TextEncoder().encode(inner))) {
        add(spelling.text, spelling.before, spelling.after);
      }
    }
  }
  return [...found.values()];
}

/** The secret, the secret without surrounding white space, and each of its longer lines that is not a PEM header. */
function partsOf(secret: string): Set<string> {
  const parts = new Set([secret, secret.trim()]);
  const lines = secret.split(/\r\n|\n|\r/);
  if (lines.length > 1) {
    for (const line of lines) {
      const text = line.trim();
      if (text.length >= MIN_LINE_LENGTH && !/^-----(BEGIN|END) [^-]*-----$/.test(text)) parts.add(text);
    }
  }
  for (const part of parts) if (part.length < MIN_SECRET_LENGTH) parts.delete(part);
  return parts;
}

function jsonForms(text: string): string[] {
  const once = JSON.stringify(text).slice(1, -1);
  // Go's encoder also escapes <, > and &; others escape everything beyond ASCII, or the slash.
  const go = once.replace(/[<>&\u2028\u2029]/g, unicodeEscape);
  const ascii = once.replace(/[\u0080-\uffff]/g, unicodeEscape);
  const slash = once.replaceAll("/", "\\/");
  const forms = [once, go, ascii, slash];
  return [...forms, ...forms.map((form) => JSON.stringify(form).slice(1, -1))];
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function urlForms(text: string): string[] {
  // A lone surrogate cannot be encoded; it is what the TextEncoder makes of it then.
  const component = encodeURIComponent(text.toWellFormed());
  const strict = component.replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  const form = new URLSearchParams([["", text]]).toString().slice(1);
  const forms = [component, strict, form, encodeURI(text.toWellFormed()), form.replaceAll("*", "%2A")];
  return [...forms, ...forms.map((each) => each.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase()))];
}

/** The part of the base64 text that `bytes` alone decide, for each of the three alignments, in both alphabets. */
function base64Forms(bytes: Uint8Array): Spelling[] {
  const forms: Spelling[] = [];
  for (const shift of [0, 1, 2] as const) {
    const shifted = new Uint8Array(shift + bytes.length);
    shifted.set(bytes, shift);
    const encoded = base64(shifted).replaceAll("=", "");
    const skipped = [0, 2, 3][shift] ?? 0;
    const after = shifted.length % 3 === 0 ? 0 : 1;
    const text = encoded.slice(skipped, encoded.length - after);
    const before = shift === 0 ? 0 : 1;
    forms.push({ text, before, after });
    forms.push({ text: text.replaceAll("+", "-").replaceAll("/", "_"), before, after });
  }
  return forms;
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
