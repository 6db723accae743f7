import { assertEquals } from "@std/assert";
import { KubernetesClient } from "../src/kubernetes/client.ts";
import type { Transport } from "../src/kubernetes/transport.ts";
import { collectSecrets, secretsInDocument, secretsInSecret } from "./secret_collector.ts";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n";

function secret(data: Record<string, string>) {
  return { data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, btoa(value)])) };
}

Deno.test("secretsInSecret() takes passwords, tokens and keys, and what they decode to", () => {
  assertEquals(
    secretsInSecret(secret({
      email: "user@domain.com",
      password: btoa("hunter2hunter2"),
      token: "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
      "tls.crt": CERTIFICATE,
      "tls.key": KEY,
      "bundle.pem": CERTIFICATE + KEY,
      host: "postgres.default.svc",
      short: "abc",
      ".dockerconfigjson": '{"auths":{"x":{"password":"registry-password","username":"somebody"}}}',
    })),
    [
      btoa("hunter2hunter2"),
      "hunter2hunter2",
      "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
      KEY,
      KEY,
      '{"auths":{"x":{"password":"registry-password","username":"somebody"}}}',
      "registry-password",
    ],
  );
});

Deno.test("secretsInDocument() takes what is named like a secret, and no names of Secrets", () => {
  const document = {
    user: {
      email: "user@domain.com",
      password: "hunter2hunter2",
      passwordSecretRef: { name: "credentials" },
    },
    controller: { proxyBrokerToken: "broker-token", secretName: "certificates" },
  };
  assertEquals(secretsInDocument(document), ["hunter2hunter2", "broker-token"]);
});

/** Serves fixed lists, and watches on which one Secret comes and goes. */
function playServer(lists: Record<string, unknown[]>): Transport {
  const performRequest: Transport["performRequest"] = (
    { path, querystring, abortSignal }: Parameters<Transport["performRequest"]>[0],
  ) => {
    const plural = path.split("/").at(-1) ?? "";
    if (querystring?.get("watch") !== "true") {
      return Promise.resolve({ metadata: { resourceVersion: "1" }, items: lists[plural] ?? [] });
    }
    return Promise.resolve(
      new ReadableStream<Uint8Array>({
        start(controller) {
          const event = {
            type: "DELETED",
            object: { metadata: { name: "s" }, ...secret({ pw: "gone-in-a-moment" }) },
          };
          if (plural === "secrets") {
            controller.enqueue(new TextEncoder().encode(`${JSON.stringify(event)}\n`));
          }
          abortSignal?.addEventListener("abort", () => controller.close());
        },
        // deno-lint-ignore no-explicit-any
      }) as any,
    );
  };
  return { performRequest };
}

Deno.test("collectSecrets() gathers from Secrets, Events and every kind of custom resource", async () => {
  const server = playServer({
    secrets: [secret({ password: "in-the-first-list" })],
    events: [{ metadata: { namespace: "a", name: "e" }, message: "Created" }],
    customresourcedefinitions: [{
      spec: {
        group: "iofog.org",
        scope: "Namespaced",
        names: { kind: "ControlPlane", plural: "controlplanes" },
        versions: [{ name: "v3", served: true }],
      },
    }],
    controlplanes: [{
      metadata: { namespace: "a", name: "iofog" },
      spec: { user: { password: "in-the-spec" } },
      status: { conditions: [] },
    }],
  });
  const secrets = new Set<string>();
  const outputs: string[] = [];
  const collector = collectSecrets(new KubernetesClient(server), {
    secret: (value) => secrets.add(value),
    output: (source) => outputs.push(source),
  });
  while (!secrets.has("gone-in-a-moment") || !secrets.has("in-the-spec")) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await collector.stop();
  assertEquals([...secrets].sort(), ["gone-in-a-moment", "in-the-first-list", "in-the-spec"]);
  assertEquals(outputs.sort(), ["Event a/e", "status of ControlPlane a/iofog"]);
});
