import { assertEquals } from "@std/assert";
import { decodePassword } from "./password.ts";

const cases: readonly [what: string, written: string, password: string][] = [
  ["base64, as iofogctl writes it", "RmFrZS1QYXNzLTEyMzQ=", "Fake-Pass-1234"],
  ["base64 in lines", "RmFrZS1Q\r\nYXNzLTEyMzQ=\n", "Fake-Pass-1234"],
  ["text with other characters", "Fake-Pass-1234", "Fake-Pass-1234"],
  ["base64 without padding", "RmFrZS1QYXNzLTEyMzQ", "RmFrZS1QYXNzLTEyMzQ"],
  ["URL-safe base64", "-_-_", "-_-_"],
  ["padding in the middle", "RmE=RmE=", "RmE=RmE="],
  ["UTF-8", btoa(String.fromCharCode(...new TextEncoder().encode("grün€😀"))), "grün€😀"],
  ["a byte order mark", btoa("\xEF\xBB\xBFab"), "\uFEFFab"],
  ["each broken byte as one replacement, like Go", btoa("a\xE2\x82b\xFF\xC3"), "a\uFFFD\uFFFDb\uFFFD\uFFFD"],
  ["an encoded surrogate", btoa("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD"],
  ["plain text that is base64 by accident", "password", "\uFFFD\uFFFD,\u008A\uFFFD"],
];

for (const [what, written, password] of cases) {
  Deno.test(`decodePassword() reads ${what}`, () => assertEquals(decodePassword(written), password));
}
