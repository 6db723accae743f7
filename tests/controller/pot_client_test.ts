/** The client for a PoT Controller and its Keycloak against the stand-ins: what it says, and what it does when they misbehave. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../src/clock.ts";
import { ControllerError, isForbidden, KeycloakError } from "../../src/controller/errors.ts";
import {
  createKeycloakClient,
  type KeycloakClient,
  type KeycloakClientOptions,
} from "../../src/controller/keycloak.ts";
import { createPotControllerClient, type PotControllerClient } from "../../src/controller/pot_client.ts";
import { makeCa } from "../../src/resources/pki.ts";
import { type Keycloak, startKeycloak } from "../keycloak/keycloak.ts";
import { type Controller, startController } from "./controller.ts";

interface Scene {
  readonly keycloak: Keycloak;
  readonly controller: Controller;
  readonly login: KeycloakClient;
  readonly client: PotControllerClient;
  /** Milliseconds that the client's clock is ahead. */
  ahead: number;
  /** What the Controller finds in Kubernetes. */
  readonly secrets: Map<string, Readonly<Record<string, string>>>;
  optionsWith(changes: Partial<KeycloakClientOptions>): KeycloakClientOptions;
}

async function withScene(
  body: (scene: Scene) => Promise<void>,
  changes: Partial<KeycloakClientOptions> = {},
): Promise<void> {
  const keycloak = await startKeycloak();
  const secrets: Scene["secrets"] = new Map();
  const controller = await startController({
    version: "3.7.3",
    realm: keycloak.trusted,
    readSecret: (name) => Promise.resolve(secrets.get(name)),
  });
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + scene.ahead };
  const { url, caPem, realm, clientId, issuing: { clientSecret } } = keycloak;
  const optionsWith = (changes: Partial<KeycloakClientOptions>) => ({
    url,
    caPem,
    realm,
    clientId,
    clientSecret,
    clock,
    ...changes,
  });
  const login = createKeycloakClient(optionsWith(changes));
  const client = createPotControllerClient({ baseUrl: controller.url, keycloak: login });
  const scene: Scene = { keycloak, controller, login, client, ahead: 0, secrets, optionsWith };
  try {
    await body(scene);
  } finally {
    client.close();
    login.close();
    await Promise.all([controller.close(), keycloak.close()]);
  }
}

/** Method, path and status of what was asked, oldest first. */
function asked({ requests }: Pick<Controller, "requests">): string[] {
  return requests.map(({ method, path, answered }) => `${method} ${path.replace("/api/v3", "")} ${answered}`);
}

const token = "POST /realms/pot/protocol/openid-connect/token";

function failure(request: Promise<unknown>): Promise<ControllerError> {
  return assertRejects(() => request, ControllerError);
}

const router = { host: "192.0.2.30", messagingPort: 5671, edgeRouterPort: 45671, interRouterPort: 55671 };
const hub = {
  host: "192.0.2.31",
  serverPort: 4222,
  clusterPort: 6222,
  leafPort: 7422,
  mqttPort: 8883,
  httpPort: 8222,
};

Deno.test("a PoT control plane's router, hub, authorities and root URL are written with the recorded bodies, after one login", async () => {
  await withScene(async ({ keycloak, controller, login, client, secrets }) => {
    assertEquals((await client.status()).versions, { controller: "3.7.3" });
    assertEquals(asked(keycloak), []);
    const [before, hubBefore] = await Promise.all([client.router(), client.natsHub()]);
    assertEquals([before, hubBefore], [undefined, undefined]);
    await client.setRouter(router);
    await client.setNatsHub(hub);
    assertEquals([await client.router(), await client.natsHub()], [router, hub]);

    const ca = await makeCa("router-site-ca", Date.now());
    const name = "router-site-ca";
    assertEquals(await client.certificateAuthority(name), undefined);
    assertEquals((await failure(client.importCertificateAuthority(name))).code, "TypeError");
    secrets.set(name, { "tls.crt": btoa(`${ca["tls.crt"]}`), "tls.key": btoa(`${ca["tls.key"]}`) });
    await client.importCertificateAuthority(name);
    const imported = { name, certificatePem: ca["tls.crt"] };
    assertEquals(await client.certificateAuthority(name), imported);
    assertEquals((await client.certificateAuthorities()).map(({ subject }) => subject), [name]);

    // The trap: one of that name that the Controller made for itself stays.
    await controller.makeAuthority("nats-site-ca");
    const own = await client.certificateAuthority("nats-site-ca");
    await client.importCertificateAuthority("nats-site-ca");
    assertEquals(await client.certificateAuthority("nats-site-ca"), own);

    assertEquals(await login.rootUrl(keycloak.viewerClient), undefined);
    await login.setRootUrl(keycloak.viewerClient, "https://pot.example.com");
    assertEquals(await login.rootUrl(keycloak.viewerClient), "https://pot.example.com");
    assertEquals(asked(keycloak).filter((request) => request.startsWith("POST")), [`${token} 200`]);
    const { clientId, issuing: { clientSecret } } = keycloak;
    assertEquals(
      keycloak.requests[0]?.body,
      `${new URLSearchParams({
        grant_type: "client_credentials",
        client_id: clientId,
        client_secret: clientSecret,
      })}`,
    );
    const writes = controller.requests.filter(({ method }) => method !== "GET");
    assertEquals(writes.map(({ path, body }) => ({ path, body })), [
      { path: "/api/v3/router", body: router },
      { path: "/api/v3/nats/hub", body: hub },
      ...["router-site-ca", "router-site-ca", "nats-site-ca"].map((name) => ({
        path: "/api/v3/certificates/ca",
        body: { name, type: "k8s-secret", secretName: name },
      })),
    ]);
    assertEquals(keycloak.requests.at(-2)?.body, { rootUrl: "https://pot.example.com" });
  });
});

Deno.test("NATS' bootstrap and accounts are read whole, the same each time, and the bootstrap changes with the operator", async () => {
  await withScene(async ({ controller, client }) => {
    const first = await client.natsBootstrap();
    assertEquals(await client.natsBootstrap(), first);
    assert(first.operatorSeed.startsWith("SO") && first.operatorPublicKey.startsWith("O"));
    assert(atob(first.sysUserCredsBase64).includes("BEGIN USER NKEY SEED"));
    const added = await controller.addNatsAccount("some-application");
    const accounts = await client.natsAccounts();
    assertEquals(accounts.map(({ name, publicKey, isSystem }) => ({ name, publicKey, isSystem })), [
      { name: "SYS", publicKey: first.systemAccountPublicKey, isSystem: true },
      { name: "some-application", publicKey: added.publicKey, isSystem: false },
    ]);
    const stored = await controller.state.nats;
    await fetch(`${controller.url}/api/v3/nats/operator/rotate`, {
      method: "POST",
      headers: { authorization: `${controller.requests.at(-1)?.authorization}` },
    }).then((response) => response.body?.cancel());
    const rotated = await client.natsBootstrap();
    assertEquals(rotated.systemAccountPublicKey, first.systemAccountPublicKey);
    assertEquals([rotated.operatorJwt, rotated.operatorSeed], [stored?.operator.jwt, stored?.operator.seed]);
    assert(rotated.operatorJwt !== first.operatorJwt && rotated.systemAccountJwt !== first.systemAccountJwt);
  });
});

Deno.test("a token is kept until shortly before its end, asked for once for many, and renewed once when it is refused", async () => {
  await withScene(async (scene) => {
    const { keycloak, controller, client } = scene;
    const logins = () => asked(keycloak).length;
    await Promise.all(Array.from({ length: 8 }, () => client.router()));
    assertEquals(logins(), 1);
    scene.ahead = 269_000;
    await client.router();
    assertEquals(logins(), 1);
    scene.ahead = 271_000;
    await Promise.all([client.router(), client.router()]);
    assertEquals(logins(), 2);
    keycloak.issuing.tokenSeconds = 10;
    scene.ahead += 271_000;
    await client.router();
    scene.ahead += 7_000;
    await client.router();
    assertEquals(logins(), 3);
    scene.ahead += 1_500;
    await client.router();
    assertEquals(logins(), 4);

    keycloak.issuing.tokenSeconds = 300;
    controller.expireTokens();
    controller.forgetRequests();
    await Promise.all([client.setRouter(router), client.natsHub(), client.natsHub()]);
    assertEquals(logins(), 5);
    assertEquals(controller.requests.filter(({ answered }) => answered === 401).length, 3);
    assertEquals(
      controller.requests.filter(({ method, answered }) => method === "PUT" && answered === 200).length,
      1,
    );
  });
});

Deno.test("wrong credentials are told by name, and not tried again for 30 s, a minute, and so on", async () => {
  await withScene(async (scene) => {
    const { keycloak, controller, client, optionsWith } = scene;
    const error = await failure(client.router());
    assert(error instanceof KeycloakError);
    assertEquals([error.code, error.status, error.retryable], ["InvalidClient", 401, false]);
    assertEquals(
      error.message,
      "POST /realms/pot/protocol/openid-connect/token: Unauthorized: Invalid client or Invalid client credentials",
    );
    const later = async (ms: number) => {
      scene.ahead += ms;
      assertEquals((await failure(client.router())).code, "InvalidClient");
      return asked(keycloak).length;
    };
    assertEquals(await later(0), 1);
    assertEquals(await later(29_000), 1);
    assertEquals(await later(2_000), 2);
    assertEquals(await later(59_000), 2);
    assertEquals(await later(2_000), 3);
    await keycloak.changeSecret("some wrong secret");
    scene.ahead += 300_000;
    assertEquals(await client.router(), undefined);
    assertEquals(controller.requests.length, 1);
    for (const changes of [{ clientId: "nobody" }, { clientSecret: "" }]) {
      const other = createKeycloakClient(optionsWith(changes));
      assertEquals((await failure(other.accessToken())).code, "InvalidClient");
      other.close();
    }
  }, { clientSecret: "some wrong secret" });
});

Deno.test("what Keycloak cannot do is told by name, and nothing secret is in any message", async () => {
  await withScene(async ({ keycloak, login, client, controller, optionsWith }) => {
    const messages: string[] = [];
    const codeWith = async (
      changes: Partial<KeycloakClientOptions>,
      ask?: (login: KeycloakClient) => Promise<unknown>,
    ) => {
      const other = createKeycloakClient(optionsWith(changes));
      try {
        const error = await failure((ask ?? ((other) => other.accessToken()))(other));
        assert(error instanceof KeycloakError, `${error}`);
        messages.push(error.message);
        return [error.code, error.retryable];
      } finally {
        other.close();
      }
    };
    assertEquals(await codeWith({ realm: "other" }), ["RealmNotFound", false]);
    assertEquals(await codeWith({ caPem: undefined }), ["Untrusted", true]);
    assertEquals(await codeWith({ url: keycloak.url.replace("https", "http") }), ["Unreachable", true]);
    const html = { type: "answer", status: 200, body: "<form>" } as const;
    keycloak.breakAt({ action: html });
    assertEquals(await codeWith({}), ["BadResponse", true]);
    keycloak.breakAt({ action: { ...html, status: 404 } });
    assertEquals(await codeWith({}), ["BadResponse", false]);
    keycloak.breakAt({ action: { ...html, contentType: "application/json", body: "{}" } });
    assertEquals(await codeWith({}), ["BadResponse", true]);
    keycloak.breakAt({ action: { ...html, status: 302, location: "https://192.0.2.1/" } });
    assertEquals(await codeWith({}), ["BadResponse", false]);
    keycloak.breakAt({ action: { type: "hang", ms: 60_000 } });
    // Its clock's deadline, so that nothing is waited for.
    assertEquals(await codeWith({ deadlineMs: 50, clock: systemClock }), ["DeadlineExceeded", true]);
    await keycloak.answerAs("other");
    assertEquals(await codeWith({}), ["OtherIssuer", false]);
    assert(
      messages.at(-1)?.includes(
        `issued by ${keycloak.url}realms/other, and not by ${keycloak.url}realms/pot`,
      ),
    );
    await keycloak.answerAs(undefined);
    assertEquals(await codeWith({}, (login) => login.rootUrl("no-viewer")), ["ClientNotFound", false]);
    keycloak.issuing.adminRoles = [];
    assertEquals(
      await codeWith({}, (login) => login.setRootUrl(keycloak.viewerClient, "https://x.example")),
      ["Forbidden", false],
    );
    await keycloak.goDown();
    assertEquals(await codeWith({}), ["Unreachable", true]);
    const down = await failure(client.router());
    assert(down instanceof KeycloakError);
    await keycloak.comeUp();

    keycloak.issuing.roles = ["sre"];
    assert(isForbidden(await failure(client.natsBootstrap())));
    keycloak.issuing.audience = "account";
    login.rejectToken(await login.accessToken());
    controller.forgetRequests();
    const refused = await failure(client.router());
    assertEquals([refused.code, refused.retryable, asked(controller)], [
      "TokenRefused",
      false,
      ["GET /router 401", "GET /router 401"],
    ]);
    assert(refused.message.includes(`it was issued by ${keycloak.url}realms/pot for account`));
    messages.push(down.message, refused.message);
    const { clientSecret } = keycloak.issuing;
    for (const secret of [clientSecret, encodeURIComponent(clientSecret), await login.accessToken()]) {
      assertEquals(messages.filter((message) => message.includes(secret)), []);
    }
  });
});

Deno.test("whoever gives up waiting for a login leaves it to the others", async () => {
  await withScene(async ({ keycloak, client }) => {
    keycloak.breakAt({ action: { type: "hang", ms: 100 } });
    const abort = new AbortController();
    const impatient = failure(client.router({ abortSignal: abort.signal }));
    const patient = client.router();
    abort.abort();
    assertEquals((await impatient).code, "Aborted");
    assertEquals(await patient, undefined);
    assertEquals(asked(keycloak).length, 1);
  });
});
