/** The stand-in is held to the same contract as a real Controller (`deno task contract`), in both dialects. */

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";
import { startController } from "../controller/controller.ts";
import { registerSecret } from "../secrets.ts";
import { holdToContract, type Subject } from "./conversation.ts";

Deno.test("the stand-in keeps the contract of 3.0.4", async (t) => {
  const controller = await startController();
  const password = registerSecret("contract-password");
  try {
    await keeps(t, { url: controller.url, email: "contract@example.com", password });
  } finally {
    await controller.close();
  }
});

Deno.test("the stand-in keeps the contract of 3.7.3", async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const issuer = "http://127.0.0.1:9/realms/pot", clientId = "pot-controller";
  const realm = {
    issuer,
    clientId,
    publicKey: publicKey.export({ type: "spki", format: "der" }).toString("base64"),
  };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    ...{ iss: issuer, aud: [clientId], typ: "Bearer", exp: Math.floor(Date.now() / 1000) + 3600 },
    ...{ preferred_username: "contract", resource_access: { [clientId]: { roles: ["admin"] } } },
  };
  const signed = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), privateKey).toString("base64url");
  const controller = await startController({ version: "3.7.3", realm, backgroundMs: 30 });
  try {
    const authorization = `Bearer ${registerSecret(`${signed}.${signature}`)}`;
    await keeps(t, { url: controller.url, authorization });
  } finally {
    await controller.close();
  }
});

async function keeps(t: Deno.TestContext, subject: Subject): Promise<void> {
  const chapters = new Map<string, string[]>();
  for await (const { chapter, step, problem } of holdToContract({ ...subject, patienceMs: 2_000 })) {
    const problems = chapters.get(chapter) ?? [];
    chapters.set(chapter, problem === undefined ? problems : [...problems, `${step}: ${problem}`]);
  }
  for (const [chapter, problems] of chapters) await t.step(chapter, () => assertEquals(problems, []));
}
