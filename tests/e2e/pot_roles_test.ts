/**
 * The Role of `deploy/overlays/pot`, which is also that of the Helm chart: a PoT control plane with everything in it
 * converges with it and is taken down with it, also where `blockOwnerDeletion` needs a permission, as on OpenShift; and
 * it holds nothing that the operator neither uses nor hands on.
 */

import { assert, assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { systemClock } from "../../src/clock.ts";
import { CustomResourceDefinition } from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import { secretData } from "../../src/resources/child.ts";
import { desired as desiredOfIofog } from "../../src/resources/controlplane/iofog/desired.ts";
import * as iofog from "../../src/resources/controlplane/iofog/fixtures.ts";
import { Certificate } from "../../src/resources/controlplane/pot/issued.ts";
import { makeCa } from "../../src/resources/pki.ts";
import type { AuditEvent } from "../cluster/mod.ts";
import { registerSecret } from "../secrets.ts";
import { conditionOf, registeredToken, type Scene } from "./harness.ts";
import { certManagerCrd, potCluster, potScenario } from "./pot_harness.ts";
import { eventually } from "./waiting.ts";

type Rules = NonNullable<Role["rules"]>;

const cluster = await potCluster({ admissionPlugins: ["OwnerReferencesPermissionEnforcement"] });
Deno.test.afterAll(() => cluster.stop());

/** The rules of the Role, base and overlay; that the chart has the same is shown by `helm_test.ts`. */
async function shippedRules(): Promise<Rules> {
  const read = async (path: string) =>
    parse(await Deno.readTextFile(new URL(`../../deploy/${path}`, import.meta.url)));
  const { rules = [] } = await read("base/role.yaml") as Role;
  const added = await read("overlays/pot/role.yaml") as { value: Rules[number] }[];
  return [...rules, ...added.map(({ value }) => value)];
}

/** Each right of the rules as `group/resource verb`. */
function rightsOf(rules: Rules): readonly string[] {
  return [
    ...new Set(
      rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) => verbs.map((verb) => `${group || "core"}/${resource} ${verb}`))
        )
      ),
    ),
  ];
}

/** Rights that the audit log does not show, and why the Role has them all the same. */
const explanations: Readonly<
  Record<
    string,
    (right: string, known: { readonly used: Set<string>; readonly handedOn: Set<string> }) => boolean
  >
> = {
  "it is handed on to the Controller, the router or the Port Manager": (right, { handedOn }) =>
    handedOn.has(right),
  "the namespace may have the other flavour": (right) => right.startsWith("iofog.org/"),
  "the edge is shown by edge_pot_test.ts": (right) =>
    /^datasance\.com\/(agents|applications|apps|edgeresources|microservices|routes)\b/.test(right),
  "the admission plugin asks for it": (right) => right === "datasance.com/controlplanes/finalizers update",
  "the API server asks for it when an apply creates": (right, { used }) =>
    right.endsWith(" create") && used.has(right.replace(/create$/, "patch")),
  "what is news again after an hour is counted": (right) => right === "core/events patch",
  "what seems older than what was written is read again": (right, { used }) =>
    right.endsWith(" get") && used.has(right.replace(/get$/, "list")),
};

/** The rights that were not used, and are not explained; and explanations that explain nothing. */
async function unexplained(
  scene: Scene,
  rules: Rules,
  requests: readonly AuditEvent[],
): Promise<readonly string[]> {
  const used = new Set(
    requests.map(({ group, resource, subresource, verb }) =>
      `${group || "core"}/${[resource, subresource].filter(Boolean).join("/")} ${verb}`
    ),
  );
  const roles = (await scene.list(Role)).filter(({ metadata }) => metadata?.name !== "iofog-operator");
  const ofIofog = desiredOfIofog(iofog.contextOf({ user: iofog.user })).children.flatMap((child) =>
    child.type === "applied" && child.resource === Role ? [child.object as Role] : []
  );
  const handedOn = new Set([...roles, ...ofIofog].flatMap((role) => rightsOf(role.rules ?? [])));
  const unneeded = new Set(Object.keys(explanations));
  const unused = rightsOf(rules).filter((right) => {
    if (used.has(right)) return false;
    const why = Object.keys(explanations).filter((each) => explanations[each]?.(right, { used, handedOn }));
    for (const each of why) unneeded.delete(each);
    return why.length === 0;
  });
  return [...unused, ...unneeded];
}

potScenario(
  "the Role of overlay pot, and of the chart, is all that a control plane with everything in it needs, and no more",
  cluster,
  async (pot) => {
    const { scene } = pot;
    const { client, namespace } = scene;
    await client.create(CustomResourceDefinition, certManagerCrd);
    const rules = await shippedRules();
    const kubeconfig = await scene.account("iofog-operator", rules);
    const operator = pot.operate([`--kubeconfig=${kubeconfig}`, "--resync-interval=1s"]);
    const own = await makeCa("own", systemClock.now());
    registerSecret(own["tls.key"] ?? "");
    await client.create(Secret, {
      metadata: { namespace, name: "own-ca" },
      data: secretData({ ...own } as Record<string, string>),
    });
    const enabled = { enabled: true };
    await pot.create({
      services: { controller: { type: "ClusterIP" } },
      ingresses: { controller: { host: `${namespace}.example.com`, ingressClassName: "nginx" } },
      certificates: { routerSiteCaSecret: { name: "own-ca" } },
      vault: {
        provider: "hashicorp",
        basePath: "pot",
        hashicorp: { address: "https://vault.example.com", mount: "secret", token: registeredToken() },
      },
      podDisruptionBudgets: enabled,
      networkPolicies: enabled,
    });
    const ready = await pot.untilReady();
    assertEquals(conditionOf(ready, "Restricted"), undefined);
    const made = await pot.children();
    const references = made.flatMap(({ object }) => object.metadata?.ownerReferences ?? [])
      .filter(({ kind }) => kind === "ControlPlane");
    assertEquals(references.filter(({ blockOwnerDeletion }) => blockOwnerDeletion !== true), []);
    assert(references.length > 30, `${references.length} children`);

    // An issuer is asked, and what somebody else changes is put right.
    await pot.change({ certificates: { issuerRef: { name: "site" } } });
    await eventually(
      "certificates to be asked for",
      () => scene.list(Certificate),
      (all) => all.length === 3,
      { show: (all) => all.map(({ metadata }) => metadata?.name).join() },
    );
    const label = "app.kubernetes.io/name";
    const labelled = async (value: string) =>
      (await pot.children()).filter(({ name, object }) =>
        // The labels of these claims are the StatefulSet's.
        object.metadata?.labels?.[label] === value && !name.startsWith("js-data-")
      );
    for (const { name, resource } of await labelled("pot")) {
      const patch = { metadata: { labels: { [label]: "other" } } };
      await client.patch(resource, { namespace, name }, { type: "merge", patch });
    }
    await eventually("labels to be put right", () => labelled("other"), (others) => others.length === 0, {
      show: (others) => others.map(({ name, resource }) => `${resource.kind} ${name}`).join(),
    });

    // What the operator of an older release had made.
    const { metadata: { name, uid } } = ready;
    const owner = { apiVersion: "datasance.com/v3", kind: "ControlPlane", name, uid, controller: true };
    await client.create(Deployment, {
      ...await scene.get(Deployment, "router"),
      metadata: { namespace, name: "port-manager", ownerReferences: [owner] },
    });

    await pot.change({
      // Another name on certificates.
      services: { controller: { type: "LoadBalancer" }, router: { type: "ClusterIP" } },
      ingresses: { router: { address: "router.example.com" } },
      certificates: null,
      vault: null,
      podDisruptionBudgets: null,
      networkPolicies: null,
      nats: { enabled: false },
    });
    await pot.untilReady();
    const left = async () => (await pot.children()).map(({ name, resource }) => `${resource.kind} ${name}`);
    const optional =
      /^(Certificate|Ingress|PodDisruptionBudget|NetworkPolicy|StatefulSet) |vault|port-manager/;
    await eventually("what is off to go", left, (all) => !all.some((each) => optional.test(each)), {
      show: (all) => all.join(),
    });
    const requests = await scene.requests();
    assertEquals(requests.filter(({ code }) => code === 403).map(({ path, verb }) => `${verb} ${path}`), []);
    assertEquals(await unexplained(scene, rules, requests), []);
    assertEquals(await operator.stop(), 0);
  },
);
