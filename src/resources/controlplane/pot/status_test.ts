/** What a person reads of a PoT control plane that does not become ready. */

import { assertEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { objectOf, serviceOf, snapshotOf } from "../iofog/fixtures.ts";
import { desired } from "./desired.ts";
import { facts } from "./external.ts";
import { auth, contextOf } from "./fixtures.ts";
import { status } from "./status.ts";

const made = desired(contextOf({ auth })).children;
const running = (name: string) => ({
  ...objectOf(made, `Deployment ${name}`),
  status: { availableReplicas: 1, replicas: 1, updatedReplicas: 1 },
});

function readyOf(objects: readonly KubeObject[], said: Readonly<Record<string, string>>) {
  const context = contextOf(
    { auth },
    snapshotOf([serviceOf("router", { ip: "192.0.2.1" }), ...objects], {
      [facts.controllerVersion]: "3.7.3",
      ...said,
    }),
  );
  const given = { desired: desired(context), pending: [], failures: [], lostFields: [], restrictions: [] };
  const { alarm, conditions } = status({ ...context, ...given });
  const found = (type: string) => conditions.find((each) => each.type === type);
  return [found("Ready")?.reason, found("Stalled")?.status, alarm];
}

const refused = (reason: string) => ({ [facts.loginReason]: reason, [facts.loginMessage]: "why" });

Deno.test("status() of a new control plane tells the cause, and not that NATS waits for it", () => {
  const both = ["controller", "router"].map(running);
  assertEquals(readyOf([running("router")], {}), ["PodsUnavailable", "False", false]);
  assertEquals(readyOf(both, refused("BadResponse")), ["BadResponse", "False", true]);
  assertEquals(readyOf(both, refused("KeycloakUnreachable")), ["KeycloakUnreachable", "False", true]);
  assertEquals(readyOf(both, refused("CertificateNotTrusted")), ["CertificateNotTrusted", "True", false]);
  assertEquals(readyOf(both, refused("InvalidCredentials")), ["InvalidCredentials", "True", false]);
  assertEquals(readyOf(both, {})[0], "NotRegistered");
});

Deno.test("status() is not ready while the Controller keeps what it was told of Keycloak before", () => {
  const secret = objectOf(made, "Secret controller-auth-credentials");
  const authenticated = (changes: object) => {
    const spec = { auth: { ...auth, ...changes }, nats: { enabled: false } };
    const context = contextOf(
      spec,
      snapshotOf([{ ...secret, data: { ...secret.data } }, serviceOf("router", { ip: "192.0.2.1" })]),
    );
    const given = { desired: desired(context), pending: [], failures: [], lostFields: [], restrictions: [] };
    const found = status({ ...context, ...given }).conditions.find(({ type }) => type === "Authenticated");
    return [found?.status, found?.reason];
  };
  assertEquals(authenticated({}), ["True", "Registered"]);
  assertEquals(authenticated({ realm: "another" }), ["False", "NotAsked"]);
});
