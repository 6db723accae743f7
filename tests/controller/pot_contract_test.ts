/**
 * Holds the stand-in and a real Controller 3.7.3 to the same recorded exchanges.
 *
 * With IOFOG_POT_CONTROLLER_URL (plain HTTP, an empty database, outside Kubernetes) the ones that need a realm are sent
 * to that server instead; it is started with the `KC_*` variables that the test prints when IOFOG_POT_REALM_KEY, the
 * private key of the realm as PKCS#8 PEM, is missing.
 */

import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { makeCa } from "../../src/resources/pki.ts";
import { registerSecret } from "../secrets.ts";
import type { Realm } from "./bearer.ts";
import { startController } from "./controller.ts";
import { chaptersWithAuth, chaptersWithoutAuth, type PotExchange, type PotSender } from "./pot_exchanges.ts";

const realUrl = Deno.env.get("IOFOG_POT_CONTROLLER_URL") ?? "";
const issuer = "http://127.0.0.1:1/realms/pot";
const clientId = "pot-controller";

/** Mints tokens as a Keycloak would; the Controller never asks it. */
function createRealm(
  privateKey: KeyObject,
): { readonly realm: Realm; authorization(as: PotSender): string | undefined } {
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const token = (roles: readonly string[], changes: Readonly<Record<string, unknown>> = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      aud: clientId,
      typ: "Bearer",
      iat: now,
      exp: now + 600,
      sub: "operator",
      preferred_username: "operator",
      resource_access: { [clientId]: { roles } },
      ...changes,
    };
    const encoded = [{ alg: "RS256", typ: "JWT" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    const signature = sign("sha256", Buffer.from(encoded), privateKey).toString("base64url");
    return registerSecret(`${encoded}.${signature}`);
  };
  const tokens: Readonly<Record<PotSender, () => string | undefined>> = {
    nobody: () => undefined,
    admin: () => `Bearer ${token(["Admin"])}`,
    viewer: () => `Bearer ${token(["viewer"])}`,
    sre: () => `Bearer ${token(["SRE"])}`,
    stranger: () => `Bearer ${token(["cook"])}`,
    expired: () => `Bearer ${token(["admin"], { exp: 1 })}`,
    otherAudience: () => `Bearer ${token(["admin"], { aud: "account" })}`,
    bare: () => token(["admin"]),
  };
  return {
    realm: { issuer, clientId, publicKey: spki.toString("base64") },
    authorization: (as) => tokens[as](),
  };
}

const realmPem = Deno.env.get("IOFOG_POT_REALM_KEY");
const made = createRealm(
  realmPem === undefined
    ? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
    : createPrivateKey(realmPem),
);

async function ask(url: string, exchange: PotExchange): Promise<{ status: number; answer: unknown }> {
  const { hostname, port } = new URL(url);
  // Past any HTTP_PROXY; only for tests, so plain HTTP will do.
  using client = Deno.createHttpClient({ proxy: { transport: "tcp", hostname, port: Number(port || 80) } });
  const headers = new Headers();
  const authorization = made.authorization(exchange.as);
  if (authorization !== undefined) headers.set("authorization", authorization);
  if (exchange.body !== undefined) headers.set("content-type", "application/json");
  const response = await fetch(`${url}/api/v3${exchange.path}`, {
    client,
    method: exchange.method,
    headers,
    ...(exchange.body === undefined ? {} : { body: JSON.stringify(exchange.body) }),
  });
  const text = await response.text();
  const isHtml = response.headers.get("content-type")?.startsWith("text/html");
  const answer = text === "" ? undefined : isHtml ? "html" : JSON.parse(text);
  return { status: response.status, answer: normalised(answer) };
}

async function replay(url: string, chapters: typeof chaptersWithAuth, t: Deno.TestContext): Promise<void> {
  for (const { title, exchanges } of chapters) {
    await t.step(title, async () => {
      for (const [index, exchange] of exchanges.entries()) {
        const { as, method, path, status, answer } = exchange;
        const name = `${index + 1}. ${as} ${method} ${path}`;
        assertEquals(await ask(url, exchange), { status, answer }, name);
      }
    });
  }
}

/** Replaces what differs from run to run by its kind, where it has the right form. */
function normalised(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? null), (key, value) => {
    if (key === "id" && Number.isInteger(value)) return "<id>";
    if (typeof value === "number" && /^(timestamp|uptimeSec)$/.test(key)) return "<number>";
    if (typeof value !== "string") return value;
    if (/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/.test(value)) return "<time>";
    if (key === "stack" && value.includes("\n    at ")) return "<stack>";
    if (key === "jwt" && /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(value)) return "<jwt>";
    if (key === "publicKey" && /^O[A-Z2-7]{55}$/.test(value)) return "<O>";
    if (key === "serialNumber" && /^[0-9a-f]{8,}$/.test(value)) return "<serial>";
    if (key === "certificate" && value.startsWith("-----BEGIN CERTIFICATE-----")) return "<certificate>";
    if (key === "privateKey" && /^-----BEGIN (RSA )?PRIVATE KEY-----/.test(value)) return "<key>";
    return value;
  }) ?? undefined;
}

Deno.test(`every exchange of a PoT ControlPlane with ${realUrl || "the stand-in"}`, async (t) => {
  if (realUrl !== "") {
    const { publicKey } = made.realm;
    assert(
      realmPem !== undefined,
      `start it with KC_URL=http://127.0.0.1:1/ KC_REALM=pot KC_CLIENT=${clientId} KC_REALM_KEY=${publicKey}, ` +
        "made from a key of yours that is given in IOFOG_POT_REALM_KEY",
    );
    return await replay(realUrl.replace(/\/+$/, ""), chaptersWithAuth, t);
  }
  const controller = await startController({ version: "3.7.3", realm: made.realm });
  const bare = await startController({ version: "3.7.3" });
  try {
    await replay(bare.url, chaptersWithoutAuth, t);
    await replay(controller.url, chaptersWithAuth, t);
  } finally {
    await Promise.all([controller.close(), bare.close()]);
  }
});

Deno.test("the stand-in answers every recorded call of the Go operator for PoT as it was answered", async (t) => {
  for (const name of ["minimal", "ingress-https", "all-lb"]) {
    await t.step(name, async () => {
      const file = new URL(`../golden/pot/${name}/calls.yaml`, import.meta.url);
      const calls = (parse(await Deno.readTextFile(file)) as RecordedCall[]).filter(({ to }) =>
        to === "controller"
      );
      const ca = await makeCa("some-ca", Date.now());
      const readSecret = () =>
        Promise.resolve({ "tls.crt": btoa(`${ca["tls.crt"]}`), "tls.key": btoa(`${ca["tls.key"]}`) });
      const controller = await startController({ version: "3.7.3", realm: made.realm, readSecret });
      try {
        for (const { method, url, body, authorization, answered } of calls) {
          const as = authorization === "Bearer <value>" ? "admin" : "nobody";
          const path = new URL(url).pathname.replace("/api/v3", "");
          const heard = await ask(controller.url, { as, method, path, body, status: answered });
          assertEquals(heard.status, answered, `${method} ${path}`);
        }
      } finally {
        await controller.close();
      }
    });
  }
});

interface RecordedCall {
  readonly to: "controller" | "keycloak";
  readonly method: string;
  readonly url: string;
  readonly body?: unknown;
  readonly authorization?: string;
  readonly answered: number;
}
