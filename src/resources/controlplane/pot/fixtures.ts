/** What tests of this folder start from, beside those of the ioFog control plane. */

import type { DesiredContext, Parent, Snapshot } from "../../../operator/definition.ts";
import { NOW, snapshotOf } from "../iofog/fixtures.ts";

/** All that a spec must have. */
export const auth = {
  url: "https://keycloak.example.com/",
  realm: "fake-realm",
  ssl: "external",
  realmKey: "FAKE-REALM-PUBLIC-KEY",
  controllerClient: "pot-controller",
  controllerSecret: "fake-client-secret",
  viewerClient: "ecn-viewer",
};

/** A ControlPlane at generation 1. */
export function parentOf(spec: unknown): Parent {
  return {
    apiVersion: "datasance.com/v3",
    kind: "ControlPlane",
    metadata: { name: "pot", namespace: "pot", uid: "parent-uid", generation: 1 },
    spec,
  };
}

export function contextOf(spec: unknown, snapshot: Snapshot = snapshotOf(), now = NOW): DesiredContext {
  return { parent: parentOf(spec), snapshot, now };
}

/** The snapshot in which the Controller has told `details`. */
export function told(snapshot: Snapshot, details: unknown): Snapshot {
  return { ...snapshot, external: () => ({ phase: "observed", objects: [], facts: {}, details }) };
}
