/** Every field of a ControlPlane that is ready, one by one: see `walk.ts`, and `*_fields.ts` for the tables. */

import { ConfigMap, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { systemClock } from "../../src/clock.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { makeCa } from "../../src/resources/pki.ts";
import type { ParsedSpec } from "../../src/resources/parse_spec.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import * as iofog from "../../src/resources/controlplane/iofog/schema.ts";
import { inventoryName } from "../../src/resources/controlplane/inventory.ts";
import { PotControlPlane } from "../../src/resources/controlplane/pot/definition.ts";
import * as pot from "../../src/resources/controlplane/pot/schema.ts";
import { NAME, scenario } from "../e2e/harness.ts";
import { KEYCLOAK_CA, type potCluster, potScenario, type PotScene } from "../e2e/pot_harness.ts";
import { eventually } from "../e2e/waiting.ts";
import { type Json, present } from "../json.ts";
import { registerSecret } from "../secrets.ts";
import { playNatsMonitors } from "../nats/monitors.ts";
import { iofogTable } from "./iofog_fields.ts";
import { potTable } from "./pot_fields.ts";
import { makeSecrets, secret, type Table } from "./table.ts";
import { type Walked, walkField, watchAvailability } from "./walk.ts";

/**
 * A test that walks all fields of one base. Each base has a file of its own, so that they run side by side:
 * `deno task walk`, since it takes as long as half of all other tests.
 *
 * @param base A name in the table of ioFog.
 */
export function walkFrom(base: string): void {
  const { changes } = present(iofogTable.bases[base]);
  scenario(titleOf(base), async (scene, test) => {
    const { controller } = scene;
    scene.operateHere((_, proceed) => proceed());
    await makeSecrets(scene);
    const walked: Walked = {
      scene,
      controller,
      resource: ControlPlane,
      name: NAME,
      children: () => scene.children(),
      until: (...args) => scene.until(...args),
      untilReady: () => scene.untilReady(),
      outside: () => [
        ...controller.state.users.map((user) => outside("User", user.email, user)),
        outside("DefaultRouter", "default-router", withoutTimes(controller.state.router)),
      ],
    };
    holdStill(walked);
    await scene.create(changes);
    await walk(
      walked,
      { base, spec: scene.spec(changes), table: iofogTable, parseSpec: iofog.parseSpec },
      test,
    );
  }, { clockBehindMs: 60_000 });
}

/** The same for PoT, on `cluster`. */
export function walkPotFrom(base: string, cluster: Awaited<ReturnType<typeof potCluster>>): void {
  const { changes } = present(potTable.bases[base]);
  potScenario(titleOf(`PoT, ${base}`), cluster, async (plane, test) => {
    const { controller, keycloak, scene } = plane;
    const monitors = playNatsMonitors();
    scene.atEnd(() => monitors.close());
    scene.operateHere(
      (_, proceed) => proceed(),
      [`--controller-url=${controller.url}`],
      undefined,
      { natsMonitorAt: () => monitors.url },
    );
    await makeSecrets(scene);
    await makePotSecrets(plane);
    const walked: Walked = {
      scene,
      controller,
      resource: PotControlPlane,
      name: "pot",
      children: () => plane.children(),
      until: (...args) => plane.until(...args),
      untilReady: () => plane.untilReady(),
      outside: () => {
        const { certificates, natsHub, router, secrets } = controller.state;
        return [
          outside("DefaultRouter", "default-router", withoutTimes(router)),
          outside("NatsHub", "nats-hub", natsHub),
          ...certificates.map(({ name }) =>
            outside(
              "CertificateAuthority",
              name,
              secrets.find((secret) => secret.name === name)?.data["tls.crt"],
            )
          ),
          ...keycloak.clients.map(({ clientId, rootUrl }) => outside("ViewerClient", clientId, rootUrl)),
        ];
      },
    };
    holdStill(walked);
    await plane.create(changes);
    await walk(walked, { base, spec: plane.spec(changes), table: potTable, parseSpec: pot.parseSpec }, test);
  });
}

/** Makes what the values of the table name, beside what both flavours have. */
async function makePotSecrets({ keycloak, scene }: PotScene): Promise<void> {
  const { client, namespace } = scene;
  const make = (name: string, values: Record<string, string>) =>
    client.create(Secret, { metadata: { namespace, name }, stringData: values });
  const { clientSecret } = keycloak.issuing;
  await make("client", { password: clientSecret, wrong: secret() });
  await make("another-client", { password: clientSecret });
  const { "tls.crt": stranger = "" } = await makeCa("stranger", systemClock.now());
  await make("another-ca", { ca: keycloak.caPem });
  await client.patch(Secret, { namespace, name: KEYCLOAK_CA }, {
    type: "merge",
    patch: { data: { wrong: btoa(stranger) } },
  });
  const { data } = await scene.get(Secret, "certificate");
  registerSecret(atob(data?.["tls.key"] ?? ""));
  await client.create(Secret, {
    metadata: { namespace, name: "another-certificate" },
    type: "kubernetes.io/tls",
    ...(data && { data }),
  });
}

function titleOf(base: string): string {
  return `every field of a ready ControlPlane, changed and back, changes just what it should (${base})`;
}

/** Has the world around a control plane give the same answers each time. */
function holdStill({ scene: { kubelet, namespace } }: Walked): void {
  // A Service that becomes a LoadBalancer again gets the same address.
  for (const [index, name] of ["controller", "router", "nats", "nats-server"].entries()) {
    kubelet.cloud.assign({ namespace, name }, { ip: `192.0.2.${index + 1}` });
  }
  // A claim that has its volume grows and cannot go back: `storage_test.ts` shows that.
  kubelet.storage.hold({ namespace });
}

interface Way {
  readonly base: string;
  readonly spec: Json;
  readonly table: Table;
  readonly parseSpec: (spec: unknown) => ParsedSpec<unknown>;
}

async function walk(
  walked: Walked,
  { base, parseSpec, spec, table }: Way,
  test: Deno.TestContext,
): Promise<void> {
  const { scene } = walked;
  await walked.untilReady();
  await eventually(
    "the inventory to be confirmed",
    async () => (await scene.get(ConfigMap, inventoryName)).data?.["entries"] ?? "[]",
    (entries) => {
      const all = JSON.parse(entries) as { readonly confirmed?: boolean }[];
      return all.length > 1 && all.every(({ confirmed }) => confirmed);
    },
  );
  await present(table.bases[base]).prepare?.(scene);
  await walked.untilReady();
  await using availability = watchAvailability(scene);
  const accepts = (given: unknown) => "spec" in parseSpec(given);
  for (const each of table.walks.filter((entry) => entry.base === base)) {
    const field = present(table.fields.find(({ name }) => name === each.field));
    const passed = await test.step(
      each.field,
      () => walkField({ accepts, availability, spec, walked }, each, field),
    );
    // What it left is no place to start from.
    if (!passed) break;
  }
}

function outside(kind: string, name: string, spec: unknown): KubeObject {
  return { kind, metadata: { name }, spec } as KubeObject;
}

function withoutTimes(row: object = {}): unknown {
  const { createdAt: _, updatedAt: __, ...rest } = row as Record<string, unknown>;
  return rest;
}
