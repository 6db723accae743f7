/**
 * The CRDs of the Go operator's tools in place of ours, on a cluster of its own, since CRDs have no namespace: a new
 * control plane converges with each of them, and one that runs is not disturbed when somebody swaps them. The cluster
 * refuses `blockOwnerDeletion` without permission, as OpenShift does.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parse } from "@std/yaml";
import {
  CustomResourceDefinition,
  type JSONSchemaProps,
} from "../../src/kubernetes/generated/apiextensions_v1.ts";
import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import { Role } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import type { Condition, Parent } from "../../src/operator/definition.ts";
import { servedSchema } from "../../src/operator/served_schema.ts";
import { ControlPlane } from "../../src/resources/controlplane/iofog/definition.ts";
import { type EdgeKind, edgeKinds, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import { startCluster } from "../cluster/mod.ts";
import { registerSecret } from "../secrets.ts";
import { conditionOf, installCrd, scenario, Scene, untilServed } from "./harness.ts";
import { rolesAsFound } from "./roles_as_found.ts";
import { eventually } from "./waiting.ts";

const cluster = await startCluster({ admissionPlugins: ["OwnerReferencesPermissionEnforcement"] });
registerSecret(cluster.adminToken);
await installCrd(cluster);

type Versions = CustomResourceDefinition["spec"]["versions"];

const text = { type: "string" };
const integer = { type: "integer" };
const object = (
  properties: Record<string, JSONSchemaProps>,
  required?: readonly string[],
): JSONSchemaProps => ({
  type: "object",
  properties,
  ...(required === undefined ? {} : { required: [...required] }),
});
const texts = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, text]));
const service = object(texts("type", "address"));

/** The structural schema that kubectl and the Helm chart install: it drops what the Go operator's YAML left out. */
const structural = object({
  apiVersion: text,
  kind: text,
  metadata: { type: "object" },
  spec: object({
    controller: object({
      ...texts("ecn", "ecnViewerUrl", "pidBaseDir", "portAllocatorHost", "portProvider"),
      ecnViewerPort: integer,
    }),
    database: object(
      { ...texts("databaseName", "host", "password", "provider", "user"), port: integer },
      ["databaseName", "host", "password", "port", "provider", "user"],
    ),
    images: object(texts("controller", "portManager", "proxy", "pullSecret", "router")),
    ingresses: object({
      httpProxy: object(texts("address")),
      router: object({ address: text, edgePort: integer, interiorPort: integer, messagePort: integer }),
      tcpProxy: object(texts("address")),
    }),
    replicas: object({ controller: { ...integer, format: "int32" } }),
    services: object({ controller: service, proxy: service, router: service }),
    user: object(texts("email", "name", "password", "surname"), ["email", "name", "password", "surname"]),
  }, ["user"]),
  status: object({
    conditions: {
      type: "array",
      items: object({
        lastTransitionTime: { type: "string", format: "date-time" },
        message: { type: "string", maxLength: 32768 },
        observedGeneration: { type: "integer", format: "int64", minimum: 0 },
        reason: {
          type: "string",
          maxLength: 1024,
          minLength: 1,
          pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        status: { type: "string", enum: ["True", "False", "Unknown"] },
        type: {
          type: "string",
          maxLength: 316,
          pattern: "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?" +
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        },
      }, ["lastTransitionTime", "message", "reason", "status", "type"]),
    },
  }, ["conditions"]),
});

const subresources = { status: {} };
const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const ours = (parse(
  await Deno.readTextFile(new URL("../../crds/controlplanes.iofog.org.yaml", import.meta.url)),
) as CustomResourceDefinition).spec.versions;

/** `spec.versions` as each of them has it. */
const flavours: Readonly<Record<"ours" | "iofogctl" | "go", Versions>> = {
  ours,
  iofogctl: ["v3", "v2"].map((name) => ({
    name,
    served: true,
    storage: name === "v3",
    schema: { openAPIV3Schema: anything },
    subresources,
  })),
  go: [{ name: "v3", served: true, storage: true, schema: { openAPIV3Schema: structural }, subresources }],
};

/** Overwrites the versions, as iofogctl does, and waits until they are served. */
async function install(scene: Scene, flavour: keyof typeof flavours): Promise<void> {
  const description = `of ${flavour}, ${crypto.randomUUID()}`;
  const versions = flavours[flavour].map((version) => ({
    ...version,
    schema: { openAPIV3Schema: { ...version.schema?.openAPIV3Schema, description } },
  }));
  const name = "controlplanes.iofog.org";
  await scene.client.patch(CustomResourceDefinition, { name }, {
    type: "merge",
    patch: { spec: { versions } },
  });
  await eventually(
    `the CRD of ${flavour}`,
    async () =>
      JSON.stringify(await servedSchema(scene.client, ControlPlane, AbortSignal.timeout(10_000))) ?? "",
    (served) => served.includes(description),
    { show: () => "another one" },
  );
}

/** A new control plane in a namespace of its own becomes ready with this Role; returns what was refused. */
async function convergesAnew(rules: Role["rules"]): Promise<readonly string[]> {
  await using scene = await Scene.open({ cluster });
  const kubeconfig = await scene.account("iofog-operator", rules);
  const operator = scene.operate([`--kubeconfig=${kubeconfig}`]);
  await scene.create();
  // Not every Role allows the status.
  await eventually("the log to say ready", () => operator.logged("ready"), (lines) => lines.length > 0, {
    withinMs: 90_000,
    show: () => operator.lines.slice(-10).join("\n"),
  });
  const refused = (await scene.requests()).filter(({ code }) => code === 403);
  return refused.map(({ name, resource, verb }) => `${verb} ${resource} ${name}`);
}

/** Children whose owner reference is not blocking, and those whose is. */
async function blocking(scene: Scene): Promise<{ readonly yes: number; readonly no: number }> {
  const all = (await scene.children()).map(({ object }) =>
    object.metadata?.ownerReferences?.[0]?.blockOwnerDeletion === true
  );
  return { yes: all.filter(Boolean).length, no: all.filter((each) => !each).length };
}

scenario(
  "F37 F49 the tools' CRDs come and go while an operator works, and new control planes converge with each",
  async (scene) => {
    const kubeconfig = await scene.account("iofog-operator", rolesAsFound.iofogctl);
    const operator = scene.operate([`--kubeconfig=${kubeconfig}`, "--resync-interval=1s"]);
    await install(scene, "iofogctl");
    await scene.create({ images: { portRouter: "example.org/port-router:1" } });
    const first = await scene.untilReady({ withinMs: 90_000 });
    assertEquals(conditionOf(first, "CRDOutdated"), undefined);
    assertMatch(
      conditionOf(first, "Restricted")?.message ?? "",
      /without blockOwnerDeletion: grant update on controlplanes\/finalizers/,
    );
    assertEquals((await blocking(scene)).yes, 0);

    let images = 1;
    const rounds = [
      ["go", rolesAsFound.kustomize],
      ["iofogctl", rolesAsFound.iofogctl],
      ["go", rolesAsFound.helm],
      ["ours", await ownRole()],
    ] as const;
    for (const [flavour, rules] of rounds) {
      const before = await workloads(scene);
      await install(scene, flavour);
      const anew = convergesAnew(rules);
      const outdated = (object: typeof first) => conditionOf(object, "CRDOutdated");
      const seen = await scene.until(
        `what the CRD of ${flavour} drops`,
        (object) =>
          (outdated(object) !== undefined) === (flavour === "go") &&
          conditionOf(object, "Ready")?.status === "True",
      );
      for (const path of flavour === "go" ? dropped : []) {
        assertStringIncludes(outdated(seen)?.message ?? "", path);
      }
      // What the CRD drops from the spec, or no longer drops, is in the Controller's template.
      const isAboutOthers = (each: string) => !each.startsWith("controller ");
      assertEquals((await workloads(scene)).filter(isAboutOthers), before.filter(isAboutOthers));
      const image = `example.org/router:${++images}`;
      await scene.change({ images: { router: image, portRouter: "example.org/port-router:1" } });
      await scene.untilReady();
      const { spec } = await scene.get(Deployment, "router");
      assertEquals(spec?.template.spec?.containers[0]?.image, image);
      const refused = await anew;
      // Our own Role has the permission on the finalizers.
      if (flavour === "ours") assertEquals(refused, []);
    }
    assertEquals((await scene.controlPlane()).metadata.uid, first.metadata.uid);
    assertEquals(operator.lines.filter((line) => line.includes('"level":"error"')), []);
    const refusal = "the API server refuses blockOwnerDeletion: owner references go without it";
    assertEquals(operator.logged(refusal).length, 1);

    // Once the Role allows it, owner references have it again.
    const finalizers = {
      apiGroups: ["iofog.org"],
      resources: ["controlplanes/finalizers"],
      verbs: ["update"],
    };
    const target = { namespace: scene.namespace, name: "iofog-operator" };
    const patch = { rules: [...rolesAsFound.iofogctl, finalizers] };
    await scene.client.patch(Role, target, { type: "merge", patch });
    await eventually(
      "owner references that block",
      () => blocking(scene),
      ({ no, yes }) => no === 0 && yes > 0,
    );
    await scene.until(
      "a Role that is large enough",
      (object) =>
        conditionOf(object, "Restricted") === undefined && conditionOf(object, "Ready")?.status === "True",
    );
    assertEquals(await operator.stop(), 0);
  },
  { cluster },
);

/** Some of the fields that the structural schema of the Go operator lacks. */
const dropped = ["spec.images.portRouter", "spec.controller.proxyBrokerUrl", "status.controllerVersion"];

/** The rules of `deploy/base`. */
async function ownRole(): Promise<Role["rules"]> {
  const role = parse(
    await Deno.readTextFile(new URL("../../deploy/base/role.yaml", import.meta.url)),
  ) as Role;
  return role.rules;
}

/** Name and template of each workload. */
async function workloads(scene: Scene): Promise<readonly string[]> {
  return (await scene.list(Deployment)).map(({ metadata, spec }) =>
    `${metadata?.name} ${JSON.stringify(spec?.template)}`
  );
}

/** The kinds of the edge as a CLI's CRDs have them: without a schema, and Applications as `apps`. */
const schemaless = edgeKinds.map((kind) =>
  edgeResourceOf(kind, "iofog.org", kind === "Application" ? "apps" : undefined)
);

scenario(
  "the kinds of the edge are kept once their CRDs come, where these have no schema and Applications are called apps",
  async (scene) => {
    const { client, controller, namespace } = scene;
    const own = await ownRole();
    const kubeconfig = await scene.account("iofog-operator", own);
    await scene.create();
    const operator = scene.operate([`--kubeconfig=${kubeconfig}`]);
    await scene.untilReady({ withinMs: 90_000 });
    // What is missing is told once, and the rest is done.
    const told = () => operator.lines.filter((line) => line.includes("deploy/edge-addon"));
    assertEquals(told().map((line) => JSON.parse(line).level), ["info"]);
    for (const { group, kind, plural } of schemaless) {
      const name = `${plural}.${group}`;
      const names = { kind, plural, singular: kind.toLowerCase() };
      const version = {
        name: "v3",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: anything },
        subresources,
      };
      const spec = { group, names, scope: "Namespaced", versions: [version] };
      await client.create(CustomResourceDefinition, { metadata: { name }, spec });
      scene.atEnd(() => client.delete(CustomResourceDefinition, { name }));
      await untilServed(client, edgeResourceOf(kind as EdgeKind, "iofog.org", plural));
    }
    const on = { agent: { name: "a" }, images: { x86: "image:1" } };
    const specs: Readonly<Record<EdgeKind, unknown>> = {
      Agent: { host: "10.0.0.1", config: { agentType: "x86" } },
      EdgeResource: { name: "camera", version: "v1.0.0", interfaceProtocol: "http" },
      Application: { name: "app", microservices: [{ name: "one", ...on }] },
      Microservice: { name: "two", application: "app", ...on },
      Route: { name: "way", application: "app", from: "one", to: "two" },
    };
    for (const resource of schemaless) {
      const object = { metadata: { namespace, name: "a" }, spec: specs[resource.kind as EdgeKind] };
      await client.create(resource, object as KubeObject);
    }
    for (const resource of schemaless) {
      await eventually(
        `${resource.plural} to be kept`,
        () => scene.get(resource, "a") as Promise<Parent<unknown, { conditions?: readonly Condition[] }>>,
        ({ status }) =>
          status?.conditions?.some(({ reason, type }) =>
            type === "Ready" && /Ready|NotProvisioned|Starting/.test(reason)
          ) ?? false,
        { show: ({ status }) => JSON.stringify(status), withinMs: 60_000 },
      );
    }
    assertEquals(controller.state.microservices.map(({ name }) => name).toSorted(), ["one", "two"]);
    assertEquals(told().length, 1);
    const { stdout } = await scene.command("status");
    assertMatch(stdout, /APPLICATION .*\n +app +yes +0\/1/);
    assertEquals((await scene.command("diff")).stdout, "");
    assertEquals(operator.lines.filter((line) => line.includes('"level":"error"')), []);
  },
  { cluster },
);
