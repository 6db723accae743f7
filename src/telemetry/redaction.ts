/**
 * Takes secrets out of every text that leaves the process.
 *
 * Guarantees: after `learn(secret)` no text that `clean` returns holds the secret in a spelling of `encodings.ts`.
 * Assumes that secrets are learned before the first text that may hold them is written. Memory is bounded: beyond
 * its limits the secret that was learned longest ago is forgotten.
 */

import { MIN_SECRET_LENGTH, type Spelling, spellingsOf } from "./encodings.ts";

/** Knows secrets and replaces them by `***`. */
export interface Redactor {
  /** Remembers a secret of at least four characters; a shorter one is ignored. Learning again renews it. */
  learn(secret: string): void;
  /** The text with every spelling of every known secret replaced. */
  clean(text: string): string;
}

/** Bounds of a redactor's memory. */
export interface RedactorLimits {
  /** @default 512 */
  readonly secrets?: number;
  /** Characters of all spellings together. @default 4_000_000 */
  readonly characters?: number;
}

/** Where a known secret stands in a text: `start` inclusive, `end` exclusive. */
export interface Found {
  readonly start: number;
  readonly end: number;
}

/** A redactor that knows nothing yet. */
export function createRedactor(limits: RedactorLimits = {}): Redactor {
  const maxSecrets = limits.secrets ?? 512;
  const maxCharacters = limits.characters ?? 4_000_000;
  /** In the order of learning: the first is forgotten first. */
  const known = new Map<string, readonly Spelling[]>();
  const index = new SpellingIndex();
  let characters = 0;

  const forgetOldest = () => {
    const oldest = known.entries().next().value;
    if (oldest === undefined) return;
    known.delete(oldest[0]);
    for (const spelling of oldest[1]) {
      index.remove(spelling);
      characters -= spelling.text.length;
    }
  };

  return {
    learn(secret) {
      if (secret.length < MIN_SECRET_LENGTH) return;
      const before = known.get(secret);
      if (before !== undefined) {
        known.delete(secret);
        known.set(secret, before);
        return;
      }
      const spellings = spellingsOf(secret);
      known.set(secret, spellings);
      for (const spelling of spellings) {
        index.add(spelling);
        characters += spelling.text.length;
      }
      while (known.size > maxSecrets || (characters > maxCharacters && known.size > 1)) forgetOldest();
    },
    clean(text) {
      const found = index.find(text);
      if (found.length === 0) return text;
      let cleaned = "";
      let end = 0;
      for (const range of found) {
        cleaned += `${text.slice(end, range.start)}***`;
        end = range.end;
      }
      return cleaned + text.slice(end);
    },
  };
}

/**
 * Finds many texts at once: by a hash of their first four characters.
 *
 * One look-up per character of the text, however many spellings there are, and learning one more secret costs no
 * rebuilding, as it would with a compiled alternation of the thousands of spellings that a few certificates have.
 */
export class SpellingIndex {
  readonly #byStart = new Map<number, { readonly spelling: Spelling; uses: number }[]>();

  add(spelling: Spelling): void {
    const key = startOf(spelling.text, 0);
    const bucket = this.#byStart.get(key);
    if (bucket === undefined) {
      this.#byStart.set(key, [{ spelling, uses: 1 }]);
      return;
    }
    const same = bucket.find((entry) => entry.spelling.text === spelling.text);
    if (same !== undefined) same.uses++;
    else bucket.push({ spelling, uses: 1 });
  }

  remove(spelling: Spelling): void {
    const key = startOf(spelling.text, 0);
    const bucket = this.#byStart.get(key);
    const position = bucket?.findIndex((entry) => entry.spelling.text === spelling.text) ?? -1;
    const entry = bucket?.[position];
    if (bucket === undefined || entry === undefined || --entry.uses > 0) return;
    bucket.splice(position, 1);
    if (bucket.length === 0) this.#byStart.delete(key);
  }

  /** The places of all spellings in `text`, in order; those that overlap or touch are one. */
  find(text: string): Found[] {
    const found: Found[] = [];
    if (this.#byStart.size === 0) return found;
    const last = text.length - MIN_SECRET_LENGTH;
    for (let position = 0; position <= last; position++) {
      const bucket = this.#byStart.get(startOf(text, position));
      if (bucket === undefined) continue;
      for (const { spelling } of bucket) {
        if (text.startsWith(spelling.text, position)) addRange(found, rangeOf(text, position, spelling));
      }
    }
    return found;
  }
}

/** 32 bits of the four characters at `position`. */
function startOf(text: string, position: number): number {
  return (text.charCodeAt(position) << 24) ^ (text.charCodeAt(position + 1) << 16) ^
    (text.charCodeAt(position + 2) << 8) ^ text.charCodeAt(position + 3);
}

function rangeOf(text: string, position: number, spelling: Spelling): Found {
  let start = position;
  let end = position + spelling.text.length;
  if (spelling.before === 1 && start > 0 && isBase64(text.charCodeAt(start - 1))) start--;
  if (spelling.after === 1) {
    if (end < text.length && isBase64(text.charCodeAt(end))) end++;
    for (let padding = 0; padding < 2 && text[end] === "="; padding++) end++;
  }
  return { start, end };
}

function addRange(found: Found[], range: Found): void {
  let { start, end } = range;
  for (let last = found.at(-1); last !== undefined && start <= last.end; last = found.at(-1)) {
    start = Math.min(start, last.start);
    end = Math.max(end, last.end);
    found.pop();
  }
  found.push({ start, end });
}

/** Letters, digits, `+`, `/`, `-`, `_`. */
function isBase64(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) ||
    code === 43 || code === 47 || code === 45 || code === 95;
}
