/** Somebody replaces the PoT operator 3.7.2 by ours, and goes back: nothing restarts, nothing is lost, nothing breaks. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
} from "../../src/kubernetes/generated/core_v1.ts";
import { Ingress } from "../../src/kubernetes/generated/networking_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { AUTH_SECRET, INGRESS, VAULT_SECRET } from "../../src/resources/controlplane/pot/controller.ts";
import { REVISION_ANNOTATION } from "../../src/resources/child.ts";
import { registerSecret } from "../secrets.ts";
import { PlayedGoPotOperator } from "./go_pot_operator.ts";
import { conditionOf } from "./harness.ts";
import { potCluster, potScenario, type PotScene } from "./pot_harness.ts";
import { eventually } from "./waiting.ts";

const cluster = await potCluster();
Deno.test.afterAll(() => cluster.stop());

async function pods({ scene }: PotScene): Promise<readonly string[]> {
  return (await scene.list(Pod)).filter(({ status }) => status?.phase === "Running")
    .map(({ metadata }) => `${metadata?.name?.replace(/-[a-z0-9]+-[a-z0-9]+$/, "")} ${metadata?.uid}`).sort();
}

/** Claims, and what in Secrets and in the bundle must outlive every change of operators. */
async function treasures({ scene }: PotScene) {
  const claims = (await scene.list(PersistentVolumeClaim)).map(({ metadata }) => metadata?.uid).sort();
  const names = [
    ...["router-site-ca", "default-router-local-ca", "nats-site-ca", "default-nats-local-ca"],
    ...["router-site-server", "router-local-server", "nats-site-server", "nats-mqtt-server"],
    "nats-jetstream-key-pot",
  ];
  const secrets = await Promise.all(names.map(async (name) => {
    const { data, metadata } = await scene.get(Secret, name);
    // A difference is shown, and nobody may see these.
    const bytes = new TextEncoder().encode(JSON.stringify(data));
    return [name, metadata?.uid, new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()];
  }));
  const bundle = (await scene.get(ConfigMap, "iofog-nats-jwt-bundle")).data;
  return { claims, secrets, bundle };
}

potScenario(
  "F40 what PoT operator 3.7.2 left is taken over without a restart, given back, and taken again",
  cluster,
  async (pot) => {
    const { controller, scene } = pot;
    const go = await PlayedGoPotOperator.of(pot);
    await go.install(pot.spec());
    const before = await pods(pot);
    const { claims, secrets } = await treasures(pot);
    // Its certificates are verified by us alone.
    const { auth } = pot.spec() as { auth: Record<string, unknown> };
    await pot.change({ auth });
    const operator = pot.operate(["--resync-interval=1s"]);
    await pot.untilReady();
    assertEquals(await pods(pot), before);
    const found = await treasures(pot);
    assertEquals([found.claims, found.secrets], [claims, secrets]);
    // Nor will they start again: nothing that they read is another.
    const { annotations } = (await scene.get(Secret, AUTH_SECRET)).metadata ?? {};
    assertEquals(annotations?.[REVISION_ANNOTATION], undefined);
    const authority = (await scene.get(Secret, "router-site-ca")).data?.["tls.crt"] ?? "";
    assertEquals(atob(authority), go.authorities.get("router-site-ca")?.["tls.crt"]);
    const account = await controller.addNatsAccount("shop");
    await eventually(
      "the account of an application to be in the bundle",
      async () => Object.keys((await scene.get(ConfigMap, "iofog-nats-jwt-bundle")).data ?? {}),
      (keys) => keys.includes(`${account.publicKey}.jwt`),
      { show: (keys) => keys.join() },
    );
    await pot.change({ images: { router: "example.com/router:1" } });
    await pot.untilReady();
    const kept = await treasures(pot);
    assertEquals(await operator.stop(), 0);

    // What we left is ready for it, and what we wrote into the status it can read.
    assertEquals(await go.start(), "nothing");
    // A change makes it write everything over ours: the API server takes all of that.
    await pot.change({ images: { router: "example.com/router:2" } });
    assertEquals(await go.start(), "deployed");
    const routerImage = async () =>
      (await scene.get(Deployment, "router")).spec?.template.spec?.containers[0]?.image;
    assertEquals(await routerImage(), "example.com/router:2");
    assertEquals(await treasures(pot), kept);
    assertEquals((await scene.get(StatefulSet, "nats")).spec?.replicas, 2);

    const settled = async () => {
      const all = [...await scene.list(Deployment), ...await scene.list(StatefulSet)];
      return all.every(({ metadata, spec, status }) =>
        status?.observedGeneration === metadata?.generation && status?.replicas === spec?.replicas &&
        status?.readyReplicas === spec?.replicas
      );
    };
    await eventually("its pods to run", settled, (done) => done, { show: () => "they do not" });
    const theirs = await pods(pot);
    // It drops what it does not know; here the authority of Keycloak.
    const { spec } = await pot.controlPlane();
    assertEquals((spec?.["auth"] as Record<string, unknown>)["caSecretRef"], undefined);
    await pot.change({ auth });
    pot.operate(["--resync-interval=1s"]);
    const again = await pot.untilReady();
    assertEquals(conditionOf(again, "Warning"), undefined);
    assertEquals(await pods(pot), theirs);
    assertEquals(await treasures(pot), kept);
    await pot.change({ images: { router: "example.com/router:3" } });
    await pot.untilReady();
    assertEquals(await routerImage(), "example.com/router:3");
    assertNotEquals(await pods(pot), theirs);
  },
);

potScenario(
  "what was changed after PoT operator 3.7.2 installed it, and what that left, is put right by one start of the Controller",
  cluster,
  async (pot) => {
    const { keycloak, scene } = pot;
    const go = await PlayedGoPotOperator.of(pot);
    await go.install(pot.spec());
    await go.leave(Ingress, INGRESS, {
      spec: { defaultBackend: { service: { name: "controller", port: { number: 80 } } } },
    });
    await go.leave(Secret, VAULT_SECRET, { data: { token: btoa(registerSecret(crypto.randomUUID())) } });
    const before = (await pods(pot)).filter((pod) => !pod.startsWith("nats"));
    await keycloak.changeSecret(`another-${crypto.randomUUID()}`);
    // As the authority of Keycloak is no part of what the Go operator knows.
    const { auth } = pot.spec() as { auth: Record<string, unknown> };
    await pot.change({ auth, nats: { enabled: false } });
    pot.operate(["--resync-interval=1s"]);
    const told = async () =>
      atob((await scene.get(Secret, AUTH_SECRET)).data?.["auth-controller-client-secret"] ?? "");
    await eventually(
      "the Controller to be told",
      told,
      (secret) => secret === keycloak.auth()["controllerSecret"],
      {
        show: () => "it has the old one",
      },
    );
    const others = (all: readonly string[]) => all.filter((pod) => !pod.startsWith("controller "));
    const after = await eventually(
      "the Controller to start again",
      () => pods(pot),
      (now) => now.length === before.length && now.join() !== before.join(),
      { withinMs: 60_000, show: (now) => now.join() },
    );
    assertEquals(others(after), others(before));
    await pot.untilReady();
    assertEquals(await pods(pot), after);
    const left = async () => {
      const kinds = [Ingress, StatefulSet, Service, Secret, ConfigMap, PersistentVolumeClaim];
      const all = (await Promise.all(kinds.map((kind) => scene.list<KubeObject>(kind)))).flat();
      return all.map(({ metadata }) => metadata?.name ?? "").filter((name) => /nats|vault|pot-c/.test(name));
    };
    const kept = ["nats-jetstream-key-pot", "nats-site-ca", "default-nats-local-ca"];
    await eventually(
      "what is no longer wanted to be gone",
      left,
      (names) => names.toSorted().join() === [...kept, "js-data-nats-0", "js-data-nats-1"].toSorted().join(),
      {
        show: (names) => names.join(),
      },
    );
  },
);
