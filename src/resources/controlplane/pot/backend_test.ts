/** Connections to Keycloak and the Controller, as the spec changes. */

import { assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../../clock.ts";
import { ControllerError, KeycloakError } from "../../../controller/errors.ts";
import type { KeycloakClient } from "../../../controller/keycloak.ts";
import type { PotControllerClient } from "../../../controller/pot_client.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { ExternalChild } from "../../../operator/definition.ts";
import { type CertificateData, makeCa, makeLeaf } from "../../pki.ts";
import { NOW, secretOf, snapshotOf } from "../iofog/fixtures.ts";
import { PotBackend } from "./backend.ts";
import { AUTHORITY, facts } from "./external.ts";
import { auth, parentOf } from "./fixtures.ts";
import { authVersion } from "./references.ts";

Deno.test("PotBackend connects anew after a spec that it could not connect with", async () => {
  const open = new Set<object>();
  const closing = <T extends object>(members: T): T => {
    const client = { ...members, close: () => void open.delete(client) };
    open.add(client);
    return client;
  };
  const backend = new PotBackend({
    clock: systemClock,
    locate: () => Promise.resolve({ url: "http://controller" }),
    connectKeycloak: () =>
      closing({
        accessToken: () =>
          Promise.reject(new KeycloakError("refused", { status: 401, code: "InvalidClient" })),
      }) as unknown as KeycloakClient,
    connect: ({ keycloak }) => {
      if (isBroken) throw new TypeError("the CA is not usable");
      const client: object = closing({
        status: () =>
          open.has(client) && open.has(keycloak)
            ? Promise.resolve({ versions: { controller: "3.7.3" } })
            : Promise.reject(new Error("the client was closed")),
      });
      return client as PotControllerClient;
    },
  });
  let isBroken = false;
  const look = (changes = {}) =>
    backend.observe(
      parentOf({ auth: { ...auth, ...changes } }),
      [],
      snapshotOf(),
      new AbortController().signal,
    );
  assertEquals((await look()).phase, "observed");
  isBroken = true;
  const broken = await look({ realm: "another" });
  assertEquals(broken.phase, "unreachable");
  assertMatch(broken.message ?? "", /the CA is not usable/);
  assertEquals(open.size, 1, "nothing stays open but the login at Keycloak");
  isBroken = false;
  assertEquals((await look()).phase, "observed");
  backend.close();
  assertEquals(open.size, 0);
});

Deno.test("PotBackend tells that Keycloak lets the operator in, whether or not the Controller answers", async () => {
  let accepts = true;
  let logins = 0;
  const away = new ControllerError("no answer", { status: 0, code: "Unreachable" });
  const backend = new PotBackend({
    clock: systemClock,
    locate: () => Promise.resolve({ url: "http://controller" }),
    connectKeycloak: () => {
      logins++;
      const refused = new KeycloakError("refused", { status: 401, code: "InvalidClient" });
      return {
        accessToken: () => accepts ? Promise.resolve("token") : Promise.reject(refused),
        close: () => {},
      } as unknown as KeycloakClient;
    },
    connect: () =>
      ({ status: () => Promise.reject(away), close: () => {} }) as unknown as PotControllerClient,
  });
  const look = async (generation: number, changes = {}) => {
    const parent = parentOf({ auth: { ...auth, ...changes } });
    const now = { ...parent, metadata: { ...parent.metadata, generation } };
    const state = await backend.observe(now, [], snapshotOf(), new AbortController().signal);
    assertEquals(state.phase, "unreachable");
    return state.facts[facts.provedAuth] === authVersion(now, { auth }, snapshotOf());
  };
  assertEquals([await look(1), await look(2), logins], [true, true, 1]);
  accepts = false;
  assertEquals([await look(3, { realm: "another" }), logins], [false, 2]);
  accepts = true;
  assertEquals(await look(5), true);
  backend.close();
});

Deno.test("PotBackend gives nobody the Controller before that has the authorities, since it would make others for an agent", async () => {
  const names = new Set<string>();
  const backend = new PotBackend({
    clock: systemClock,
    locate: () => Promise.resolve({ url: "http://controller" }),
    connectKeycloak: () =>
      ({ accessToken: () => Promise.resolve("token"), close: () => {} }) as unknown as KeycloakClient,
    connect: () =>
      ({
        status: () => Promise.resolve({ versions: { controller: "3.7.3" } }),
        router: () => Promise.resolve(undefined),
        certificateAuthorities: () =>
          Promise.resolve([...names].map((name) => ({ name, subject: name, valid_to: "2030" }))),
        certificateAuthority: (name: string) => Promise.resolve({ name, certificatePem: "" }),
        close: () => {},
      }) as unknown as PotControllerClient,
  });
  const parent = parentOf({ auth, nats: { enabled: false } });
  const wanted = ["router-site-ca", "default-router-local-ca"];
  const children = wanted.map((name) =>
    ({ type: "external", kind: AUTHORITY, name, fields: {}, singleton: true }) as const
  );
  const given = async (looked: readonly ExternalChild[] = children) => {
    const state = await backend.observe(parent, looked, snapshotOf(), new AbortController().signal);
    assertEquals([state.phase, state.message], ["observed", undefined]);
    const access = backend.access(parent.metadata.uid) ?? {};
    return "reason" in access ? access.reason : Object.keys(access).join();
  };
  assertEquals(backend.access(parent.metadata.uid), undefined);
  assertEquals(await given([]), "NotAsked", "their Secrets are not made yet");
  names.add("router-site-ca");
  assertEquals(await given(), "NotAsked");
  names.add("default-router-local-ca");
  assertEquals(await given(), "client,url,version");
  // A person takes one away to have it imported anew.
  names.clear();
  assertEquals(await given(), "client,url,version");
  backend.close();
});

Deno.test("PotBackend connects anew where the Controller has another certificate", async () => {
  const connected: unknown[] = [];
  const away = new ControllerError("no answer", { status: 0, code: "Unreachable" });
  const backend = new PotBackend({
    clock: systemClock,
    locate: () => Promise.resolve({ url: "https://203.0.113.1" }),
    connectKeycloak: () => ({ accessToken: () => Promise.reject(away), close: () => {} }) as never,
    connect: ({ caPem, serverName }) => {
      connected.push([caPem, serverName]);
      return { status: () => Promise.reject(away), close: () => {} } as unknown as PotControllerClient;
    },
  });
  const parent = parentOf({ auth, controller: { https: true, secretName: "tls" } });
  const look = async (data: CertificateData) => {
    const secret = { ...secretOf("tls", { ...data }), type: "kubernetes.io/tls" } as KubeObject;
    await backend.observe(parent, [], snapshotOf([secret]), new AbortController().signal);
  };
  const [one, other] = [await makeCa("one", NOW), await makeCa("other", NOW)];
  const leaf = await makeLeaf(one, ["controller.pot.svc"], NOW);
  const certificate = { ...leaf, "ca.crt": one["tls.crt"] };
  const renamed = await makeLeaf(one, ["pot.example.com"], NOW);
  await look(certificate);
  await look(certificate);
  await look({ ...certificate, "ca.crt": other["tls.crt"] });
  await look({ ...renamed, "ca.crt": other["tls.crt"] });
  const trusted = (ca: CertificateData, own: CertificateData) => `${ca["tls.crt"]}\n${own["tls.crt"]}`;
  assertEquals(connected, [
    [trusted(one, leaf), "controller.pot.svc"],
    [trusted(other, leaf), "controller.pot.svc"],
    [trusted(other, renamed), "pot.example.com"],
  ]);
  backend.close();
});
