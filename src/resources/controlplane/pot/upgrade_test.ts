import { assertEquals } from "@std/assert";
import { Role } from "../../../kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { KindState } from "../../../operator/definition.ts";
import { NOW, objectOf, snapshotOf } from "../iofog/fixtures.ts";
import { OWN_ROLE, ownPermissions } from "./upgrade.ts";

function surroundings(statefulSets: KindState, objects: readonly KubeObject[] = []) {
  const snapshot = { ...snapshotOf(objects), kind: () => statefulSets };
  return { name: "pot", namespace: "pot", uid: "parent-uid", snapshot, now: NOW };
}

const denied: KindState = { phase: "failed", message: "forbidden", denied: true };

Deno.test("ownPermissions() gives the operator the right to StatefulSets where its Role lacks it, and keeps it", () => {
  const children = ownPermissions(surroundings(denied), "iofog-operator");
  assertEquals(children.map((child) => child.type === "applied" && child.resource.kind), [
    "Role",
    "RoleBinding",
  ]);
  assertEquals(objectOf(children.slice(0, 1), OWN_ROLE).rules, [
    { apiGroups: ["apps"], resources: ["statefulsets"], verbs: ["*"] },
  ]);
  assertEquals(objectOf(children.slice(1), OWN_ROLE).subjects, [
    { kind: "ServiceAccount", name: "iofog-operator", namespace: "pot" },
  ]);
  const made = { apiVersion: "rbac.authorization.k8s.io/v1", kind: Role.kind, metadata: { name: OWN_ROLE } };
  assertEquals(ownPermissions(surroundings({ phase: "synced" }, [made]), "iofog-operator").length, 2);
});

Deno.test("ownPermissions() makes nothing where the right is there, or nobody is known to give it to", () => {
  assertEquals(ownPermissions(surroundings({ phase: "synced" }), "iofog-operator"), []);
  assertEquals(ownPermissions(surroundings(denied), undefined), []);
  const down: KindState = { phase: "failed", message: "no answer", denied: false };
  assertEquals(ownPermissions(surroundings(down), "iofog-operator"), []);
});
