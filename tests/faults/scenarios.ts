/**
 * What people do to a control plane of ioFog, as a table: each line is tried with every fault that `sieve.ts` knows.
 *
 * To add a line: what `happens`, and when it `isDone` beyond everything being at rest.
 */

import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import { newPassword } from "../e2e/harness.ts";
import { PlayedGoOperator, untilAvailable } from "../e2e/go_operator.ts";
import { registerSecret } from "../secrets.ts";
import {
  owned,
  remove,
  removeControlPlane,
  replaceByOneThatEnds,
  type Scenario,
  untilNothingIsLeft,
} from "./scenario.ts";

const database = {
  ...{ provider: "postgres", host: "db.example.com", port: 5432, user: "iofog", databaseName: "iofog" },
  password: registerSecret("Db-password-of-every-trial"),
};

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
    happens: (trial) => replaceByOneThatEnds(trial, "router-ca", "router-internal"),
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
      await removeControlPlane(trial);
      await untilNothingIsLeft(trial);
      await trial.create();
    },
  },
  {
    name: "take-over from the Go operator",
    async prepare(trial) {
      const { client, controller, namespace, world: { kubelet } } = trial;
      const place = { client, controller, namespace, kubelet };
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
    happens: (trial) => removeControlPlane(trial),
    isDone: async (trial) => (await owned(trial)).length === 0,
  },
];

const changedPassword = newPassword();

function token(which: string): string {
  return registerSecret(`broker-token-${which}`);
}
