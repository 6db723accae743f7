/**
 * What we make of a PoT control plane, beside what the Go operator 3.7.2 made on a real API server (tests/golden/pot);
 * NATS has a test of its own.
 *
 * Everything that differs must be a default that the API server fills in, or a line of docs/differences.md.
 */

import { assert, assertEquals } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import {
  decodedData,
  describedCertificates,
  type Difference,
  differencesBetween,
  type RecordedCall,
} from "../../../../tests/golden/recordings.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { Secret } from "../../../kubernetes/generated/core_v1.ts";
import type { Child, DesiredContext } from "../../../operator/definition.ts";
import { makeCa, makeLeaf } from "../../pki.ts";
import { childName, NOW, secretOf, serviceOf, snapshotOf } from "../iofog/fixtures.ts";
import { desired } from "./desired.ts";
import { contextOf, told } from "./fixtures.ts";

interface Recording {
  readonly spec: unknown;
  readonly objects: readonly KubeObject[];
  readonly bootstrap: unknown;
  readonly children: readonly KubeObject[];
  readonly calls: readonly RecordedCall[];
}

async function readRecording(name: string): Promise<Recording> {
  const read = (file: string) =>
    Deno.readTextFile(new URL(`../../../../tests/golden/pot/${name}/${file}`, import.meta.url));
  const { spec } = parse(await read("cr.yaml")) as { spec: unknown };
  const given = parse(await read("given.yaml")) as {
    loadBalancerStatus: Record<string, Record<string, string>>;
    natsBootstrapAnswer: unknown;
  };
  const addresses = Object.entries(given.loadBalancerStatus);
  return {
    spec,
    objects: [
      ...addresses.map(([service, ingress]) => serviceOf(service, ingress)),
      await controllerCertificate(),
    ],
    bootstrap: given.natsBootstrapAnswer,
    children: parseAll(await read("children.yaml")) as KubeObject[],
    calls: parse(await read("calls.yaml")) as RecordedCall[],
  };
}

/** The Secret that the recorded spec names for HTTPS. */
async function controllerCertificate(): Promise<KubeObject> {
  const ca = await makeCa("ca", NOW);
  const leaf = await makeLeaf(ca, ["controller.pot.svc.cluster.local"], NOW);
  return {
    ...secretOf("controller-tls", { ...leaf, "ca.crt": ca["tls.crt"] }),
    type: "kubernetes.io/tls",
  } as KubeObject;
}

/** What a few passes come to: generated values are there, and what is made from them. */
async function settled({ spec, objects, bootstrap }: Recording): Promise<[Child[], DesiredContext]> {
  const known = new Map(objects.map((object) => [`${object.kind} ${object.metadata?.name}`, object]));
  const contextNow = () =>
    contextOf(spec, told(snapshotOf([...known.values()]), { natsBootstrap: bootstrap, natsAccounts: [] }));
  for (let before = -1; before !== known.size;) {
    before = known.size;
    for (const child of desired(contextNow()).children) {
      const name = childName(child);
      if (known.has(name)) continue;
      if (child.type === "generated") {
        known.set(name, { ...child.object, data: await child.generate() } as KubeObject);
      } else if (name === "Ingress pot-controller" && child.type === "applied") known.set(name, child.object);
    }
  }
  const context = contextNow();
  const { children, problems } = desired(context);
  assertEquals(problems, []);
  return [[...children], context];
}

/** Differences that are meant, by their key in docs/differences.md. */
const meant: Readonly<Record<string, (difference: Difference) => boolean>> = {
  "empty-environment": ({ ours, path, theirs }) =>
    /\.env\[name=\w+\]$/.test(path) && ours === undefined && Object.keys(theirs as object).join() === "name",
  "pot-name-label": ({ ours, path, theirs }) =>
    path === "Deployment controller.spec.template.metadata.labels.name" && ours === "controller" &&
    theirs === undefined,
};

/** What the API server fills in. */
const defaulted =
  /\.(terminationMessage\w+|resources|restartPolicy|terminationGracePeriodSeconds|dnsPolicy|schedulerName|serviceAccount|defaultMode|revisionHistoryLimit|progressDeadlineSeconds|volumeMode|finalizers|sessionAffinity|ipFamilies|ipFamilyPolicy|allocateLoadBalancerNodePorts|internalTrafficPolicy|scheme|successThreshold|securityContext)$/;

for (const name of ["minimal", "all-lb", "ingress-https"]) {
  Deno.test(`desired() makes of PoT recording ${name} what the Go operator made, and writes into Controller and Keycloak the same`, async () => {
    const recording = await readRecording(name);
    const [children, context] = await settled(recording);
    const isNats = ({ metadata }: KubeObject) => metadata?.labels?.["datasance.com/component"] === "nats";
    const mine = children.filter((child) => child.type !== "external").filter(({ object }) =>
      !isNats(object)
    );
    const found = differencesBetween(
      await Promise.all(mine.map((child) => asRecorded(child, context))),
      recording.children.filter((object) => !isNats(object)).map(withDocuments),
    );
    const open = found.filter((difference) =>
      !(difference.ours === undefined && defaulted.test(difference.path)) &&
      !Object.values(meant).some((applies) => applies(difference))
    );
    assertEquals(open, []);

    const external = (kind: string) =>
      children.filter((child) => child.type === "external" && child.kind === kind);
    const bodies = (method: string, path: RegExp) =>
      recording.calls.filter((call) => call.method === method && path.test(call.url)).map(({ body }) => body);
    const fields = (kind: string) =>
      external(kind).map((child) => child.type === "external" ? child.fields : {});
    assertEquals(fields("DefaultRouter"), bodies("PUT", /\/router$/) as never);
    assertEquals(fields("NatsHub"), bodies("PUT", /\/nats\/hub$/) as never);
    const imported = bodies("POST", /\/certificates\/ca$/) as readonly { name: string }[];
    assertEquals(
      external("CertificateAuthority").map((child) => child.type === "external" ? child.name : ""),
      imported.map((each) => each.name),
    );
    const viewer = bodies("PUT", /\/admin\/realms\/fake-realm\/clients\//);
    assertEquals(fields("ViewerClient"), viewer as never);
  });
}

Deno.test("docs/differences.md has a line for each difference from the PoT recordings", async () => {
  const text = await Deno.readTextFile(new URL("../../../../docs/differences.md", import.meta.url));
  assertEquals(Object.keys(meant).filter((key) => !text.includes(`\`${key}\``)), []);
});

/** A child of ours in the form of the recordings. */
async function asRecorded(
  child: Exclude<Child, { type: "external" }>,
  { snapshot }: DesiredContext,
): Promise<KubeObject> {
  const { data, ...object } = child.object as KubeObject & { data?: Record<string, string> };
  const metadata = {
    ...object.metadata,
    ownerReferences: [{
      apiVersion: "datasance.com/v3",
      kind: "ControlPlane",
      name: "pot",
      controller: true,
      blockOwnerDeletion: true,
    }],
  };
  const isSecret = object.kind === "Secret";
  if (child.type === "applied") {
    return {
      ...object,
      metadata,
      ...(data === undefined ? {} : isSecret ? { stringData: decodedData(data) } : { data: documents(data) }),
    } as unknown as KubeObject;
  }
  const secrets = snapshot.list<Secret>({
    group: "",
    version: "v1",
    kind: "Secret",
    plural: "secrets",
    namespaced: true,
  });
  const values = decodedData(
    secrets.find((live) => live.metadata?.name === object.metadata?.name)?.data ?? {},
  );
  const authority = {
    "router-site-server": "router-site-ca",
    "router-local-server": "default-router-local-ca",
  }[object.metadata?.name ?? ""] ?? object.metadata?.name ?? "";
  if (values["tls.crt"] === undefined) return { ...object, metadata } as unknown as KubeObject;
  const ca = decodedData(secrets.find((live) => live.metadata?.name === authority)?.data ?? {})["tls.crt"] ??
    "";
  assert(ca !== "");
  return {
    ...object,
    metadata,
    stringData: await describedCertificates(values, ca, authority),
  } as unknown as KubeObject;
}

function withDocuments(object: KubeObject): KubeObject {
  const { data } = object as { data?: Record<string, string> };
  return data === undefined ? object : { ...object, data: documents(data) } as KubeObject;
}

/** Documents are compared by what they say. */
function documents(data: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map((
      [key, text],
    ) => [key, key.endsWith(".json") ? `${JSON.stringify(JSON.parse(text))}` : text]),
  );
}
