/**
 * What people do to a control plane, as a table: each line is tried with every fault that `sieve.ts` knows.
 *
 * To add a line: what `happens`, and when it `isDone` beyond everything being at rest.
 */

import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { ControlPlane, controlPlaneDefinition } from "../../src/resources/controlplane/iofog/definition.ts";
import { makeLeaf, RENEWAL_MS } from "../../src/resources/pki.ts";
import { type Json, NAME, newPassword } from "../e2e/harness.ts";
import { PlayedGoOperator, untilAvailable } from "../e2e/go_operator.ts";
import { eventually } from "../e2e/waiting.ts";
import { registerSecret } from "../secrets.ts";
import type { Trial } from "./trial.ts";

/** One line of the table. */
export interface Scenario {
  readonly name: string;
  /** What stands there before, at rest; nothing where it is left out. */
  readonly installed?: Json;
  /** Makes what stands there before, where none of ours made it. */
  prepare?(trial: Trial): Promise<void>;
  /** What somebody does while the operator runs. */
  happens(trial: Trial): Promise<unknown>;
  /** Whether it has had its effect; asked only when everything is at rest. */
  isDone?(trial: Trial): Promise<boolean>;
}

const database = {
  ...{ provider: "postgres", host: "db.example.com", port: 5432, user: "iofog", databaseName: "iofog" },
  password: registerSecret("Db-password-of-every-trial"),
};
const FIVE_YEARS_MS = 5 * 365 * 24 * 3600 * 1000;

/** The table. */
export const scenarios: readonly Scenario[] = [
  {
    name: "fresh install",
    happens: (trial) => trial.create(),
  },
  {
    name: "spec change",
    installed: {},
    happens: (trial) =>
      trial.change({
        controller: { ecn: "ecn", ecnViewerPort: 8080 },
        services: { controller: { type: "NodePort" } },
      }),
  },
  {
    name: "image change",
    installed: {},
    happens: (trial) =>
      trial.change({ images: { controller: "registry.example/c:2", router: "registry.example/r:2" } }),
  },
  {
    name: "secret rotation",
    installed: { controller: { proxyBrokerUrl: "https://broker.example", proxyBrokerToken: token("first") } },
    happens: (trial) => trial.change({ controller: { proxyBrokerToken: token("second") } }),
  },
  {
    name: "password change",
    installed: {},
    happens: (trial) => trial.change({ user: { password: btoa(changedPassword) } }),
  },
  {
    name: "certificate renewal",
    installed: {},
    happens: (trial) => replaceByOneThatEnds(trial, "router-internal"),
  },
  {
    name: "child deleted",
    installed: {},
    happens: (trial) =>
      Promise.all([remove(trial, Deployment, "port-manager"), remove(trial, RoleBinding, "router")]),
  },
  {
    name: "scale up",
    installed: { database },
    happens: (trial) => trial.change({ replicas: { controller: 3 } }),
  },
  {
    name: "scale down",
    installed: { database, replicas: { controller: 3 } },
    happens: (trial) => trial.change({ replicas: { controller: 1 } }),
  },
  {
    name: "custom resource deleted and made again",
    installed: {},
    async happens(trial) {
      await remove(trial, ControlPlane, NAME);
      await untilNothingIsLeft(trial);
      await trial.create();
    },
  },
  {
    name: "take-over from the Go operator",
    async prepare(trial) {
      const place = { ...trial, client: trial.client, kubelet: trial.world.kubelet };
      const go = await PlayedGoOperator.of(place, "default-lb", "3.2.0");
      await go.install();
      await untilAvailable(place);
    },
    // It begins with the operator.
    happens: () => Promise.resolve(),
  },
  {
    name: "uninstall",
    installed: {},
    happens: (trial) => remove(trial, ControlPlane, NAME),
    isDone: async (trial) => (await owned(trial)).length === 0,
  },
];

const changedPassword = newPassword();

function token(which: string): string {
  return registerSecret(`broker-token-${which}`);
}

async function remove(trial: Trial, resource: typeof ControlPlane, name: string): Promise<void> {
  const { namespace } = trial;
  await trial.client.delete(resource, { namespace, name }, { propagationPolicy: "Background" });
}

/** Puts a certificate of the same authority in its place, which is valid for another day. */
async function replaceByOneThatEnds(trial: Trial, name: string): Promise<void> {
  const [ca, leaf] = await Promise.all([trial.find(Secret, "router-ca"), trial.find(Secret, name)]);
  const decoded = Object.fromEntries(
    Object.entries(ca?.data ?? {}).map(([key, value]) => [key, atob(value)]),
  );
  const endsSoon = Date.now() - FIVE_YEARS_MS + RENEWAL_MS / 30;
  const made = await makeLeaf(decoded, ["192.0.2.1"], endsSoon);
  const data = Object.fromEntries(Object.entries(made).map(([key, value]) => [key, btoa(value ?? "")]));
  await trial.client.patch(Secret, { namespace: trial.namespace, name: leaf?.metadata?.name ?? "" }, {
    type: "merge",
    patch: { data },
  });
}

async function owned(trial: Trial): Promise<readonly KubeObject[]> {
  const kinds = await Promise.all(controlPlaneDefinition().childResources.map((kind) => trial.list(kind)));
  return kinds.flat().filter(({ metadata }) => metadata?.ownerReferences?.[0]?.kind === "ControlPlane");
}

async function untilNothingIsLeft(trial: Trial): Promise<void> {
  await eventually("the children to be gone", () => owned(trial), (left) => left.length === 0, {
    withinMs: 60_000,
    show: (left) => left.map(({ metadata }) => metadata?.name).join(", "),
  });
}
