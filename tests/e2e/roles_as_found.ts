/**
 * The Roles under which the tools run the operator, rule by rule as they create them. A Role that is there is never
 * changed by them, so each of these is met in the field for years.
 */

import type { Role } from "../../src/kubernetes/generated/rbac_v1.ts";

type Rules = NonNullable<Role["rules"]>;

const all = ["*"];
const read = ["list", "get", "watch"];
const group = ["iofog.org"];

/** What every one of them has. */
const workloads: Rules = [
  { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"], verbs: all },
  { apiGroups: ["apps"], resources: ["deployments"], verbs: all },
  {
    apiGroups: [""],
    resources: ["pods", "configmaps", "serviceaccounts", "services", "persistentvolumeclaims", "secrets"],
    verbs: all,
  },
];
const leases: Rules = [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: all }];
const events: Rules = [{ apiGroups: [""], resources: ["configmaps/status", "events"], verbs: all }];

/** iofogctl: everything but patches of the custom resources, and their finalizers. */
const iofogctl: Rules = [
  ...workloads,
  ...leases,
  ...events,
  {
    apiGroups: group,
    resources: [
      ...["apps", "applications", "controlplanes"],
      ...["apps/status", "applications/status", "controlplanes/status"],
    ],
    verbs: [...read, "update"],
  },
];

/** `config/operator/rbac.yaml` of the Go operator, for kubectl and kustomize. */
const kustomize: Rules = [
  ...workloads,
  ...leases,
  ...events,
  {
    apiGroups: group,
    resources: ["apps", "applications", "controlplanes"],
    verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
  },
  {
    apiGroups: group,
    resources: ["applications/status", "controlplanes/status"],
    verbs: ["get", "patch", "update"],
  },
];

/** The ioFog Helm chart for v3: no Leases, no Events, no status. */
const helm: Rules = [
  ...workloads,
  { apiGroups: group, resources: ["apps", "applications", "controlplanes"], verbs: read },
];

/** The same as published in 3.0.0-alpha1. */
const helmAlpha: Rules = [
  ...workloads,
  { apiGroups: group, resources: ["apps", "controlplanes"], verbs: read },
];

/** iofogctl's in the hands of an administrator who allows neither Leases nor Events. */
const withoutLeasesAndEvents: Rules = iofogctl.filter((rule) => ![...leases, ...events].includes(rule));

/** See the module. */
export const rolesAsFound = { iofogctl, kustomize, helm, helmAlpha, withoutLeasesAndEvents } as const;

const ofPot = ["datasance.com"];
const potResources = (suffix: string) =>
  ["controlplanes", "apps", "applications"].map((name) => name + suffix);
const ingresses: Rules = [
  { apiGroups: ["networking.k8s.io"], resources: ["ingresses", "ingresses/status"], verbs: all },
];
const statefulSets: Rules = [{ apiGroups: ["apps"], resources: ["statefulsets"], verbs: all }];

/** potctl before 1.6: without StatefulSets, which NATS needs. */
const potctlBefore16: Rules = [
  ...workloads,
  ...leases,
  ...events,
  ...ingresses,
  {
    apiGroups: ofPot,
    resources: [...potResources(""), ...potResources("/status")],
    verbs: [...read, "update"],
  },
  { apiGroups: ofPot, resources: potResources("/finalizers"), verbs: ["update"] },
];

/** `config/operator/rbac.yaml` of the Go operator of PoT, and its Helm chart. */
const potKustomize: Rules = [
  ...workloads,
  ...leases,
  ...events,
  ...ingresses,
  ...statefulSets,
  {
    apiGroups: ofPot,
    resources: potResources(""),
    verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
  },
  {
    apiGroups: ofPot,
    resources: [...potResources("/status"), ...potResources("/finalizers")],
    verbs: ["get", "patch", "update"],
  },
];

/** potctl since 1.6. */
const potctl: Rules = [...potctlBefore16, ...statefulSets];

/** Those of PoT. */
export const potRolesAsFound = {
  potctl,
  potctlBefore16,
  kustomize: potKustomize,
} as const;
