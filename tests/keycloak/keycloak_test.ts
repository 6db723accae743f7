/** The stand-in for Keycloak answers as Keycloak does, as far as the operator of a PoT control plane asks. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parse } from "@std/yaml";
import { systemClock } from "../../src/clock.ts";
import { startController } from "../controller/controller.ts";
import { type Keycloak, startKeycloak } from "./keycloak.ts";

interface Asked {
  readonly method?: string;
  readonly form?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly token?: string;
}

async function ask(keycloak: Keycloak, path: string, { method = "GET", form, json, token }: Asked = {}) {
  using client = Deno.createHttpClient({ caCerts: [keycloak.caPem] });
  const headers = new Headers();
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  if (json !== undefined) headers.set("content-type", "application/json");
  const body = form === undefined
    ? json === undefined ? null : JSON.stringify(json)
    : new URLSearchParams(form);
  const response = await fetch(`${keycloak.url}${path}`, { client, method, headers, body });
  const text = await response.text();
  return { status: response.status, answer: text === "" ? undefined : JSON.parse(text) };
}

const tokenPath = (realm: string) => `realms/${realm}/protocol/openid-connect/token`;

async function login(keycloak: Keycloak, changes: Readonly<Record<string, string>> = {}) {
  const { clientId, issuing } = keycloak;
  const form = { grant_type: "client_credentials", client_id: clientId, client_secret: issuing.clientSecret };
  return await ask(keycloak, tokenPath(keycloak.realm), { method: "POST", form: { ...form, ...changes } });
}

Deno.test("Keycloak gives out tokens that the Controller takes, and is asked for clients and their root URL", async () => {
  const keycloak = await startKeycloak();
  const controller = await startController({ version: "3.7.3", realm: keycloak.trusted });
  try {
    const discovery = (await ask(keycloak, "realms/pot/.well-known/openid-configuration")).answer;
    assertEquals(
      [discovery.issuer, discovery.token_endpoint, discovery.jwks_uri],
      ["", "/protocol/openid-connect/token", "/protocol/openid-connect/certs"]
        .map((path) => `${keycloak.url}realms/pot${path}`),
    );
    const certs = (await ask(keycloak, "realms/pot/protocol/openid-connect/certs")).answer;
    assertEquals(certs.keys.length, 1);
    const { status, answer } = await login(keycloak);
    assertEquals([status, answer.token_type, answer.expires_in], [200, "Bearer", 300]);
    const token = answer.access_token;
    const asAdmin = { headers: { authorization: `Bearer ${token}` } };
    const config = await fetch(`${controller.url}/api/v3/config`, asAdmin);
    assertEquals([config.status, await config.json()], [200, { config: [] }]);

    const wrong = {
      error: "unauthorized_client",
      error_description: "Invalid client or Invalid client credentials",
    };
    assertEquals(await login(keycloak, { client_secret: "another one" }), { status: 401, answer: wrong });
    assertEquals(await login(keycloak, { client_id: "nobody" }), { status: 401, answer: wrong });
    const elsewhere = await ask(keycloak, tokenPath("other"), { method: "POST", form: {} });
    assertEquals(elsewhere, { status: 404, answer: { error: "Realm does not exist" } });

    const query = `admin/realms/pot/clients?clientId=${keycloak.viewerClient}`;
    const id = keycloak.clients[1]?.id;
    const viewer = { id, clientId: keycloak.viewerClient, enabled: true };
    assertEquals(await ask(keycloak, query), { status: 401, answer: { error: "HTTP 401 Unauthorized" } });
    assertEquals(await ask(keycloak, query, { token }), { status: 200, answer: [viewer] });
    assertEquals((await ask(keycloak, "admin/realms/pot/clients", { token })).answer.length, 3);
    const json = { rootUrl: "https://pot.example.com" };
    const put = { method: "PUT", json, token };
    assertEquals((await ask(keycloak, `admin/realms/pot/clients/${id}`, put)).status, 204);
    assertEquals(await ask(keycloak, query, { token }), { status: 200, answer: [{ ...viewer, ...json }] });
    const nobody = await ask(keycloak, "admin/realms/pot/clients/none", put);
    assertEquals(nobody, { status: 404, answer: { error: "Could not find client" } });
    keycloak.issuing.adminRoles = [];
    const less = (await login(keycloak)).answer.access_token;
    assertEquals((await ask(keycloak, query, { token: less })).status, 403);
  } finally {
    await Promise.all([keycloak.close(), controller.close()]);
  }
});

Deno.test("Keycloak answers every recorded call of the Go operator as it was answered", async () => {
  for (const name of ["minimal", "ingress-https", "all-lb"]) {
    const file = new URL(`../golden/pot/${name}/calls.yaml`, import.meta.url);
    const calls = parse(await Deno.readTextFile(file)) as RecordedCall[];
    const realm = "fake-realm";
    const keycloak = await startKeycloak({ realm, clientSecret: "fake-client-secret" });
    using client = Deno.createHttpClient({ caCerts: [keycloak.caPem] });
    const token = (await login(keycloak)).answer.access_token;
    try {
      for (const { method, url, contentType, body, authorization, answered } of calls.filter(isToKeycloak)) {
        const path = new URL(url).pathname.slice(1).replace(/[\da-f-]{36}$/, keycloak.clients[1]?.id ?? "");
        const headers = new Headers();
        if (contentType !== undefined) headers.set("content-type", contentType);
        if (authorization?.startsWith("Bearer")) headers.set("authorization", `Bearer ${token}`);
        if (authorization?.startsWith("Basic")) {
          headers.set("authorization", `Basic ${btoa("pot-controller:fake-client-secret")}`);
        }
        const sent = body === undefined
          ? {}
          : { body: typeof body === "string" ? body : JSON.stringify(body) };
        const response = await fetch(`${keycloak.url}${path}`, { client, method, headers, ...sent });
        await response.text();
        assertEquals(response.status, answered, `${name}: ${method} ${path}`);
      }
    } finally {
      await keycloak.close();
    }
  }
});

interface RecordedCall {
  readonly to: "controller" | "keycloak";
  readonly method: string;
  readonly url: string;
  readonly contentType?: string;
  readonly body?: unknown;
  readonly authorization?: string;
  readonly answered: number;
}

function isToKeycloak({ to }: RecordedCall): boolean {
  return to === "keycloak";
}

Deno.test("Keycloak's tokens end, lack roles or come from another realm as told; then the Controller refuses them", async () => {
  let ahead = 0;
  const keycloak = await startKeycloak();
  const clock = { now: () => Date.now() + ahead };
  const controller = await startController({
    version: "3.7.3",
    realm: keycloak.trusted,
    clock: { ...systemClock, ...clock },
  });
  const statusWith = async (token: string) => {
    const response = await fetch(`${controller.url}/api/v3/config`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await response.body?.cancel();
    return response.status;
  };
  const token = async () => (await login(keycloak)).answer.access_token;
  try {
    keycloak.issuing.tokenSeconds = 5;
    const short = await login(keycloak);
    assertEquals(short.answer.expires_in, 5);
    assertEquals(await statusWith(short.answer.access_token), 200);
    ahead = 6_000;
    assertEquals(await statusWith(short.answer.access_token), 401);
    ahead = 0;
    const early = await token();
    assertEquals(await statusWith(early), 200);
    controller.expireTokens();
    assertEquals(await statusWith(early), 401);

    keycloak.issuing.roles = ["viewer"];
    assertEquals(await statusWith(await token()), 200);
    keycloak.issuing.roles = [];
    assertEquals(await statusWith(await token()), 403);
    keycloak.issuing.roles = ["admin"];
    keycloak.issuing.audience = "account";
    assertEquals(await statusWith(await token()), 401);
    keycloak.issuing.audience = keycloak.clientId;

    await keycloak.answerAs("other");
    const foreign = await token();
    assertMatch(atob(foreign.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), /realms\/other"/);
    assertEquals(await statusWith(foreign), 401);
    await keycloak.answerAs(undefined);
    assertEquals(await statusWith(await token()), 200);

    keycloak.breakAt({ action: { type: "answer", status: 200, body: "<form>" } });
    await assertRejects(() => login(keycloak), SyntaxError);
    await keycloak.goDown();
    await assertRejects(() => login(keycloak), TypeError);
    await keycloak.comeUp();
    assertEquals((await login(keycloak)).status, 200);
  } finally {
    await Promise.all([keycloak.close(), controller.close()]);
  }
});
