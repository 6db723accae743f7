/** What people, and the Controller, do to a control plane of PoT: see `scenarios.ts`. */

import { Deployment, StatefulSet } from "../../src/kubernetes/generated/apps_v1.ts";
import { ConfigMap } from "../../src/kubernetes/generated/core_v1.ts";
import { RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import { leaveAsPotOperator } from "../e2e/left_by_pot_operator.ts";
import { eventually } from "../e2e/waiting.ts";
import { registerSecret } from "../secrets.ts";
import {
  owned,
  remove,
  removeControlPlane,
  replaceByOneThatEnds,
  type Scenario,
  untilNothingIsLeft,
} from "./scenario.ts";
import type { Trial } from "./trial.ts";

const ROUTER_CONFIG = "iofog-router";
const NATS_CONFIG = "iofog-nats-config";
const BUNDLE = "iofog-nats-jwt-bundle";
const LISTENER = "shop-listener";
const ROUTE = "nats://edge-1.example.com:6222";

/** The table. */
export const potScenarios: readonly Scenario[] = [
  {
    name: "PoT: fresh install",
    happens: (trial) => trial.create(),
  },
  {
    name: "PoT: spec change",
    installed: {},
    happens: (trial) =>
      trial.change({
        controller: { ecn: "ecn", ecnViewerPort: 8080 },
        services: { controller: { type: "ClusterIP" } },
        ingresses: { controller: { host: "pot.example.com" } },
      }),
  },
  {
    name: "PoT: image change",
    installed: {},
    happens: (trial) =>
      trial.change({
        images: {
          controller: "registry.example/c:2",
          router: "registry.example/r:2",
          nats: "registry.example/n:2",
        },
      }),
  },
  {
    name: "PoT: secret rotation",
    installed: {
      vault: { provider: "hashicorp", hashicorp: { address: "https://vault", token: token("first") } },
    },
    happens: (trial) => trial.change({ vault: { hashicorp: { token: token("second") } } }),
  },
  {
    name: "PoT: certificate renewal",
    installed: {},
    happens: (trial) => replaceByOneThatEnds(trial, "nats-site-ca", "nats-site-server"),
  },
  {
    name: "PoT: child deleted",
    installed: {},
    happens: (trial) =>
      Promise.all([
        remove(trial, Deployment, "router"),
        remove(trial, RoleBinding, "nats"),
        remove(trial, ConfigMap, BUNDLE),
      ]),
  },
  {
    name: "PoT: the Controller edits what both write",
    installed: {},
    happens: editWhatBothWrite,
    isDone: isWhole,
  },
  {
    name: "PoT: scale up",
    installed: {},
    happens: (trial) => trial.change({ replicas: { nats: 4 } }),
  },
  {
    name: "PoT: scale down",
    installed: { replicas: { nats: 4 } },
    happens: (trial) => trial.change({ replicas: { nats: 2 } }),
  },
  {
    name: "PoT: NATS disabled and enabled again",
    installed: {},
    async happens(trial) {
      await trial.change({ nats: { enabled: false } });
      const gone = () => trial.find(StatefulSet, "nats");
      await eventually("NATS to be gone", gone, (set) => set === undefined, {
        withinMs: 60_000,
        show: () => "",
      });
      await trial.change({ nats: { enabled: true } });
    },
  },
  {
    // The Controller keeps its database, and so do the authorities that it has copies of.
    name: "PoT: custom resource deleted and made again",
    installed: { deletionPolicy: "Retain" },
    async happens(trial) {
      await removeControlPlane(trial);
      await untilNothingIsLeft(trial);
      await trial.create({ deletionPolicy: "Retain" });
    },
  },
  {
    name: "PoT: take-over from the Go operator",
    async prepare(trial) {
      const { client, namespace, world: { kubelet } } = trial;
      await leaveAsPotOperator({ client, kubelet, namespace }, await trial.create());
      const settled = async () => [...await trial.list(Deployment), ...await trial.list(StatefulSet)];
      await eventually("its pods to run", settled, (workloads) =>
        workloads.length === 3 &&
        workloads.every(({ spec, status }) => status?.readyReplicas === (spec?.replicas ?? 1)), {
        show: () => "",
      });
    },
    // It begins with the operator.
    happens: () => Promise.resolve(),
  },
  {
    name: "PoT: uninstall",
    installed: {},
    happens: removeControlPlane,
    isDone: async (trial) => (await owned(trial)).length === 0,
  },
];

function token(which: string): string {
  return registerSecret(`vault-token-${which}`);
}

/** As the Controller does for an application: a listener, a route, an account; and what it does by mistake. */
async function editWhatBothWrite(trial: Trial): Promise<void> {
  await edit(trial, ROUTER_CONFIG, "skrouterd.json", (text) => {
    const entries = JSON.parse(text) as readonly [string, { readonly name?: string }][];
    const left = entries.filter(([, { name }]) => name !== "amqps");
    return JSON.stringify([...left, ["tcpListener", { name: LISTENER, port: "1024", address: "shop" }]]);
  });
  await edit(
    trial,
    NATS_CONFIG,
    "server.conf",
    (text) => text.replace(/routes: \[/, `routes: ["${ROUTE}", `),
  );
  const { jwt, publicKey } = await trial.controller.addNatsAccount("shop");
  await edit(trial, BUNDLE, `${publicKey}.jwt`, () => jwt);
  await edit(trial, BUNDLE, "FOREIGN.jwt", () => "of-the-controller");
}

async function edit(
  trial: Trial,
  name: string,
  key: string,
  change: (text: string) => string,
): Promise<void> {
  const config = await trial.find(ConfigMap, name);
  const data = { [key]: change(config?.data?.[key] ?? "") };
  await trial.client.patch(ConfigMap, { namespace: trial.namespace, name }, {
    type: "merge",
    patch: { data },
  });
}

/** What the Controller added is there, and ours is there again. */
async function isWhole(trial: Trial): Promise<boolean> {
  const [router, nats, bundle] = await Promise.all(
    [ROUTER_CONFIG, NATS_CONFIG, BUNDLE].map(async (name) => (await trial.find(ConfigMap, name))?.data ?? {}),
  );
  const document = router?.["skrouterd.json"] ?? "";
  return document.includes(LISTENER) && document.includes(`"amqps"`) &&
    (nats?.["server.conf"] ?? "").includes(ROUTE) && Object.keys(bundle ?? {}).length === 3;
}
