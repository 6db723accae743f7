/** The two flavours of a control plane, as a trial sees them. */

import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import type { Resource } from "../../src/kubernetes/resource.ts";
import type { Definition } from "../../src/operator/definition.ts";
import { ControlPlane, controlPlaneDefinition } from "../../src/resources/controlplane/iofog/definition.ts";
import { PotControlPlane, potDefinition } from "../../src/resources/controlplane/pot/definition.ts";
import { type Controller, startController } from "../controller/controller.ts";
import { type Json, NAME, newPassword } from "../e2e/harness.ts";
import { startKeycloak } from "../keycloak/keycloak.ts";
import { playNatsMonitors } from "../nats/monitors.ts";
import type { Trial } from "./trial.ts";

/** What a flavour is, and what all trials of it share. */
export interface Flavour extends AsyncDisposable {
  readonly resource: Resource;
  /** Of the ControlPlane. */
  readonly object: string;
  readonly definition: Definition;
  /** Starts what a trial has of its own. */
  prepare(trial: Pick<Trial, "client" | "find" | "namespace">): Promise<Prepared>;
  /** Where an operator finds the monitor of a NATS server. */
  readonly natsMonitorAt?: () => string;
}

/** What a trial has of its own. */
export interface Prepared {
  readonly controller: Controller;
  /** The least spec. */
  readonly spec: Json;
  /** What there is outside of Kubernetes, in a form in which two trials can be compared. */
  outside(): unknown;
}

/** Label of what the user made, which is nobody's history. */
export const GIVEN = "given";

const type = "LoadBalancer";

/** ioFog. */
export function iofogFlavour(): Flavour {
  const password = btoa(newPassword());
  return {
    resource: ControlPlane,
    object: NAME,
    definition: controlPlaneDefinition(),
    async prepare() {
      const controller = await startController();
      return {
        controller,
        spec: {
          user: { name: "Some", surname: "Body", email: "somebody@example.com", password },
          services: { controller: { type }, router: { type } },
        },
        outside() {
          const { users, router, config, lastIds } = controller.state;
          return { users, router, config, lastIds };
        },
      };
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** PoT: one Keycloak for all, in which each trial has a viewer's client of its own. */
export async function potFlavour(): Promise<Flavour> {
  const keycloak = await startKeycloak();
  const monitors = playNatsMonitors();
  const ca = "keycloak-ca";
  return {
    resource: PotControlPlane,
    object: "pot",
    definition: potDefinition(),
    natsMonitorAt: () => monitors.url,
    async prepare({ client, find, namespace }) {
      const controller = await startController({
        version: "3.7.3",
        realm: keycloak.trusted,
        readSecret: async (name) => (await find(Secret, name))?.data,
      });
      await client.create(Secret, {
        metadata: { namespace, name: ca, labels: { [GIVEN]: "" } },
        data: { ca: btoa(keycloak.caPem) },
      });
      const viewer: (typeof keycloak.clients)[number] = { id: crypto.randomUUID(), clientId: namespace };
      keycloak.clients.push(viewer);
      return {
        controller,
        spec: {
          auth: { ...keycloak.auth(), viewerClient: namespace, caSecretRef: { name: ca, key: "ca" } },
          services: { controller: { type }, router: { type }, nats: { type } },
        },
        outside() {
          const { certificates, config, lastIds, natsHub, router } = controller.state;
          const authorities = certificates.map(({ name, subject }) => ({ name, subject }))
            .sort((one, other) => one.name < other.name ? -1 : 1);
          return { authorities, config, lastIds, natsHub, router, viewer: viewer.rootUrl };
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([monitors.close(), keycloak.close()]);
    },
  };
}
