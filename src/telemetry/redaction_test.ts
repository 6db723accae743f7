import { assert, assertEquals, assertFalse } from "@std/assert";
import { createRedactor } from "./redaction.ts";
import fc from "fast-check";

const PASSWORD = 'pa"ss/w+ö rd&<1>';

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** Every spelling by an encoder that is not the redactor's own. */
const SPELLINGS: Record<string, (secret: string) => string> = {
  raw: (secret) => secret,
  "in a sentence": (secret) => `login of user@domain.com with ${secret} was refused`,
  "in JSON": (secret) => JSON.stringify({ password: secret }),
  "in JSON inside JSON": (secret) => JSON.stringify({ body: JSON.stringify({ password: secret }) }),
  "in JSON by Go": (secret) =>
    JSON.stringify(secret).replaceAll("<", "\\u003c").replaceAll(">", "\\u003e").replaceAll("&", "\\u0026"),
  "in JSON beyond ASCII": (secret) => JSON.stringify(secret).replaceAll("ö", "\\u00f6"),
  "in a URL": (secret) => `https://x/?password=${encodeURIComponent(secret)}`,
  "in a URL in lower case": (secret) =>
    encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase()),
  "in a form": (secret) => new URLSearchParams({ user: "a", password: secret }).toString(),
  "in base64": base64,
  "in base64 without padding": (secret) => base64(secret).replaceAll("=", ""),
  "in base64 for URLs": (secret) => base64(secret).replaceAll("+", "-").replaceAll("/", "_"),
  "in base64 of base64": (secret) => base64(base64(secret)),
  "in base64 after one character": (secret) => base64(`x${secret}yz`),
  "in base64 after two characters": (secret) => base64(`xy${secret}z`),
  "in base64 of a header": (secret) => `authorization: Basic ${base64(`user:${secret}`)}`,
  "in base64 of a document": (secret) => base64(JSON.stringify({ data: { password: secret } })),
};

for (const [name, spell] of Object.entries(SPELLINGS)) {
  Deno.test(`clean() replaces a secret ${name}`, () => {
    for (const secret of [PASSWORD, "hunter2hunter2", "abcd", "x".repeat(300)]) {
      const redactor = createRedactor();
      redactor.learn(secret);
      const cleaned = redactor.clean(`before ${spell(secret)} after`);
      assert(cleaned.startsWith("before ") && cleaned.endsWith(" after"), cleaned);
      assert(cleaned.includes("***"), `${secret}: ${cleaned}`);
      assertFalse(cleaned.includes(secret));
    }
  });
}

Deno.test("clean() leaves no bits of a secret at the edges of base64", () => {
  const redactor = createRedactor();
  redactor.learn("hunter2hunter2");
  assertEquals(redactor.clean(base64("hunter2hunter2")), "***");
  assertEquals(redactor.clean(base64("xhunter2hunter2")), "e***");
  assertEquals(redactor.clean(base64("xxhunter2hunter2")), "eH***");
});

Deno.test("clean() replaces each line of a key, and keeps its header", async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const body = btoa(String.fromCharCode(...der)).match(/.{1,64}/g) ?? [];
  const pem = ["-----BEGIN PRIVATE KEY-----", ...body, "-----END PRIVATE KEY-----", ""].join("\n");
  const redactor = createRedactor();
  redactor.learn(pem);

  assertEquals(redactor.clean(body[0] ?? ""), "***");
  assertEquals(redactor.clean(`line: ${body.at(-1)}.`), "line: ***.");
  const reflowed = redactor.clean(body.join("\r\n  "));
  for (const line of body) assertFalse(reflowed.includes(line));
  assertEquals(redactor.clean("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
  assertFalse(
    redactor.clean(JSON.stringify({ data: { "tls.key": btoa(pem) } })).includes(btoa(pem).slice(60, 90)),
  );
});

Deno.test("clean() replaces overlapping secrets as one", () => {
  const redactor = createRedactor();
  redactor.learn("xpassw");
  redactor.learn("password1");
  assertEquals(redactor.clean("<xpassword1>"), "<***>");
});

Deno.test("clean() knows a secret read from a file with a line break at its end", () => {
  const redactor = createRedactor();
  redactor.learn("s3cr3t-token\n");
  assertEquals(redactor.clean("Bearer s3cr3t-token"), "Bearer ***");
});

Deno.test("learn() ignores what is shorter than four characters", () => {
  const redactor = createRedactor();
  for (const text of ["", "a", "abc", " abc\n"]) redactor.learn(text);
  assertEquals(redactor.clean("abc a abc YWJj"), "abc a abc YWJj");
});

Deno.test("learn() forgets the secret that was learned longest ago beyond the limit", () => {
  const redactor = createRedactor({ secrets: 2 });
  redactor.learn("first-secret");
  redactor.learn("second-secret");
  redactor.learn("first-secret");
  redactor.learn("third-secret");
  assertEquals(redactor.clean("first-secret second-secret third-secret"), "*** second-secret ***");
});

Deno.test("learn() keeps what two secrets share until both are forgotten", () => {
  const redactor = createRedactor({ secrets: 2 });
  redactor.learn("shared-text\n");
  redactor.learn("shared-text");
  redactor.learn("another-text");
  assertEquals(redactor.clean("shared-text"), "***");
});

Deno.test("learn() bounds the memory that long secrets take, but keeps the newest", () => {
  const redactor = createRedactor({ characters: 10_000 });
  redactor.learn("first-secret");
  redactor.learn("y".repeat(50_000));
  assertEquals(redactor.clean(`first-secret ${"y".repeat(50_000)}`), "first-secret ***");
});

Deno.test("clean() never lets a secret of any text through", () => {
  const secrets = fc.string({ minLength: 4, maxLength: 60, unit: "grapheme" });
  fc.assert(
    fc.property(secrets, fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (secret, head, tail) => {
      fc.pre(!head.includes("*") && !tail.includes("*") && !secret.includes("*"));
      const redactor = createRedactor();
      redactor.learn(secret);
      for (const spell of [SPELLINGS["raw"], SPELLINGS["in JSON"], SPELLINGS["in a form"]]) {
        const cleaned = redactor.clean(`${head}${spell?.(secret)}${tail}`);
        assertFalse(cleaned.includes(secret));
        assert(cleaned.includes("***"));
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("clean() of a long line with many secrets stays below a millisecond per kilobyte", () => {
  const redactor = createRedactor();
  for (let number = 0; number < 512; number++) redactor.learn(`secret-number-${number}-${"z".repeat(20)}`);
  const text = "INFO reconciled ControlPlane iofog in namespace default, nothing to do; ".repeat(140);
  const start = performance.now();
  for (let round = 0; round < 20; round++) redactor.clean(text);
  const perKilobyte = (performance.now() - start) / 20 / (text.length / 1024);
  assert(perKilobyte < 1, `${perKilobyte} ms`);
});
