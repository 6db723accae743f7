import { assert, assertEquals, assertFalse } from "@std/assert";
import { OUTPUTS_VARIABLE, registerSecret, SECRETS_VARIABLE } from "../tests/secrets.ts";
import { describeScan, scanFiles, SecretScan } from "./secret_scan.ts";

const PASSWORD = 'hunter"2/ä+%<7>';

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

async function newKey(): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-384" };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign"]);
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const lines = btoa(String.fromCharCode(...der)).match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}

const KEY = await newKey();

/** Each way in which a secret may be let through, by an encoder that is not the scan's own. */
const LETS_THROUGH: Record<string, string> = {
  "a raw password": `login with ${PASSWORD} failed`,
  "a JSON-escaped password": JSON.stringify({ user: { password: PASSWORD } }),
  "a password in JSON in a JSON log line": JSON.stringify({
    message: JSON.stringify({ password: PASSWORD }),
  }),
  "a URL-escaped password": `GET /login?password=${encodeURIComponent(PASSWORD)}`,
  "a password in a form": new URLSearchParams({ password: PASSWORD }).toString(),
  "a password in base64": `data:\n  password: ${base64(PASSWORD)}\n`,
  "a password in base64 for URLs": base64(PASSWORD).replaceAll("+", "-").replaceAll("/", "_").replaceAll(
    "=",
    "",
  ),
  "a password in base64 of base64": base64(base64(PASSWORD)),
  "a password in a basic authorization": `authorization: Basic ${base64(`user@domain.com:${PASSWORD}`)}`,
  "a password in base64 of a document": base64(JSON.stringify({ a: { password: PASSWORD } })),
  "a raw key": KEY,
  "a JSON-escaped key": JSON.stringify({ key: KEY }),
  "a key in base64": base64(KEY),
  "one line of a key": `unexpected token ${KEY.split("\n")[2]} in JSON`,
  "a key without line breaks": KEY.split("\n").slice(1, -2).join(""),
};

for (const [name, text] of Object.entries(LETS_THROUGH)) {
  Deno.test(`the secret scan fails on ${name} and does not show it`, () => {
    const scan = new SecretScan();
    scan.learn(PASSWORD);
    scan.learn(KEY);
    scan.check({ source: "operator stdout", text: "all is well" });
    assertEquals(scan.result().leaks, []);
    scan.check({ source: "operator stderr", text: `before ${text} after` });
    const report = describeScan(scan.result()).join("\n");
    assertEquals(new Set(scan.result().leaks.map((leak) => leak.source)), new Set(["operator stderr"]));
    assert(/^secret scan: 2 secrets in \d+ bytes of output: found \d+ times\n/.test(report), report);
    const again = new SecretScan();
    again.learn(PASSWORD);
    again.learn(KEY);
    again.check({ source: "report", text: report });
    assertEquals(again.result().leaks, []);
  });
}

Deno.test("the secret scan is clean when nothing is let through", () => {
  const scan = new SecretScan();
  scan.learn(PASSWORD);
  scan.check({ source: "operator", text: "password: *** set for user@domain.com\n" });
  assertEquals(describeScan(scan.result()), ["secret scan: 1 secrets in 38 bytes of output: clean"]);
});

Deno.test("the secret scan finds a secret that a stream cuts in two, and reports it once", async () => {
  const text = new TextEncoder().encode(`${"x".repeat(500)}${PASSWORD}${"y".repeat(500)}`);
  for (const size of [1, 7, 100, 505, 2000]) {
    const scan = new SecretScan();
    scan.learn(PASSWORD);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < text.length; at += size) pieces.push(text.slice(at, at + size));
    await scan.checkStream("test output", ReadableStream.from(pieces));
    assertEquals([scan.result().leaks.length, scan.result().bytes], [1, text.length], `pieces of ${size}`);
  }
});

Deno.test("the secret scan reads what tests registered and recorded, and other files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // The environment belongs to all test files that run side by side, so another process it is.
    const module = new URL("../tests/secrets.ts", import.meta.url).href;
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { recordOutput, registerSecret } from ${JSON.stringify(module)};
        for (const secret of ${JSON.stringify([PASSWORD, KEY])}) registerSecret(secret);
        recordOutput("operator stdout", "long ".repeat(50_000) + ${JSON.stringify(PASSWORD)});
        recordOutput("operator stderr", "nothing\\n");`,
      ],
      env: { [SECRETS_VARIABLE]: `${folder}/secrets`, [OUTPUTS_VARIABLE]: `${folder}/outputs` },
    }).output();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    await Deno.writeTextFile(`${folder}/audit.log`, `GET /x?token=${encodeURIComponent(PASSWORD)}`);
    assertEquals((await Deno.stat(`${folder}/secrets`)).mode! & 0o777, 0o600);
    const result = await scanFiles({
      secrets: `${folder}/secrets`,
      outputs: `${folder}/outputs`,
      others: [`${folder}/audit.log`, `${folder}/missing.log`],
    });
    assertEquals(result.secrets, 2);
    assertEquals(result.leaks.map((leak) => leak.source), ["operator stdout", "audit.log"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("registerSecret() refuses what is too short to be looked for", () => {
  let message = "";
  try {
    registerSecret("short");
  } catch (error) {
    message = (error as Error).message;
  }
  assertEquals(message, "a secret of 5 characters cannot be looked for; use at least 8");
  assertFalse(message.includes("short"));
});
