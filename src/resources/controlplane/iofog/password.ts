/**
 * The password of a user as it stands in a spec or in the Secret `controller-credentials`: normally base64, as
 * iofogctl writes it, else the literal text.
 *
 * The Port Manager applies the same rule to the same text, and both it and the Go operator send the result through
 * Go's JSON encoder. What they log in with must equal what the user was signed up with, so this follows Go to the byte.
 */

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The password that `written` stands for. Text that happens to be padded base64, such as `password`, is decoded. */
export function decodePassword(written: string): string {
  // Go's base64 decoder skips line breaks.
  const compact = written.replaceAll(/[\r\n]/g, "");
  if (!BASE64.test(compact)) return written;
  return goString(Uint8Array.fromBase64(compact));
}

/**
 * UTF-8 text as Go's JSON encoder writes it: each byte that is not part of a valid sequence becomes U+FFFD by itself,
 * where TextDecoder would make one U+FFFD of a truncated sequence.
 */
function goString(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes[at] ?? 0);
    try {
      text += decoder.decode(bytes.subarray(at, at + length));
      at += Math.min(length, bytes.length - at);
    } catch {
      text += "\uFFFD";
      at += 1;
    }
  }
  return text;
}

/** Bytes in the UTF-8 sequence that starts with `lead`; 1 where none can. */
function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}
