/** NATS beside what the Go operator 3.7.2 made of it (tests/golden/pot), and what it does where that one does nothing. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parse, parseAll } from "@std/yaml";
import {
  decodedData,
  describedCertificates,
  type Difference,
  differencesBetween,
} from "../../../../tests/golden/recordings.ts";
import { registerSecret } from "../../../../tests/secrets.ts";
import type { NatsAccount, NatsBootstrap } from "../../../controller/schemas.ts";
import type { StatefulSet } from "../../../kubernetes/generated/apps_v1.ts";
import type { PersistentVolumeClaim, Secret } from "../../../kubernetes/generated/core_v1.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { Child } from "../../../operator/definition.ts";
import { childName, generatedOf, NOW, objectOf, secretOf, serviceOf, snapshotOf } from "../iofog/fixtures.ts";
import { auth } from "./fixtures.ts";
import { defaultImages } from "./images.ts";
import { type Inputs, labelsOf } from "./inputs.ts";
import { natsChildren, natsStorageProblems, natsWaiting } from "./nats.ts";
import { parseSpec } from "./schema.ts";

const bootstrap: NatsBootstrap = {
  operatorJwt: "eyJvcGVyYXRvciI6MX0.e30.c2ln",
  operatorPublicKey: "OTEST",
  operatorSeed: registerSecret("SOTESTOPERATORSEED"),
  systemAccountJwt: "eyJzeXMiOjF9.e30.c2ln",
  systemAccountPublicKey: "ASYS",
  sysUserCredsBase64: btoa(registerSecret("credentials of admin-hub")),
};
const accounts: readonly NatsAccount[] = [
  { name: "SYS", publicKey: "ASYS", jwt: bootstrap.systemAccountJwt, isSystem: true },
  { name: "shop", publicKey: "ASHOP", jwt: "shop-jwt" },
  { name: "SYS-leaf-edge-1", publicKey: "ALEAF", jwt: "leaf-jwt", isLeafSystem: true },
];

function inputsOf(
  spec: Record<string, unknown>,
  objects: readonly KubeObject[],
  told: Partial<Inputs> = { natsBootstrap: bootstrap, natsAccounts: accounts },
): Inputs {
  const parsed = parseSpec({ auth, ...spec });
  if (!("spec" in parsed)) throw new Error(JSON.stringify(parsed));
  return {
    name: "pot",
    namespace: "pot",
    uid: "parent-uid",
    spec: parsed.spec as Inputs["spec"],
    images: defaultImages,
    snapshot: snapshotOf(objects),
    now: NOW,
    natsBootstrap: undefined,
    natsAccounts: undefined,
    authProved: true,
    natsHealth: undefined,
    ...told,
  };
}

/** `objects` and what is made beside them, until nothing more is: what a few passes come to. */
async function settled(
  spec: Record<string, unknown>,
  objects: readonly KubeObject[],
  told?: Partial<Inputs>,
): Promise<readonly KubeObject[]> {
  const known = new Map(objects.map((object) => [`${object.kind} ${object.metadata?.name}`, object]));
  for (let before = -1; before !== known.size;) {
    before = known.size;
    for (const child of natsChildren(inputsOf(spec, [...known.values()], told))) {
      if (child.type === "external" || known.has(childName(child))) continue;
      const object = child.type === "generated"
        ? { ...child.object, data: await child.generate() }
        : child.object;
      known.set(childName(child), object as KubeObject);
      for (
        const [key, value] of Object.entries(
          (object as Secret).kind === "Secret" ? (object as Secret).data ?? {} : {},
        )
      ) {
        if (/^(jsk|tls\.key)$/.test(key)) registerSecret(atob(value));
      }
    }
  }
  return [...known.values()];
}

/** Differences that are meant, by their key in docs/differences.md. */
const meant: Readonly<Record<string, (difference: Difference) => boolean>> = {
  "nats-configuration": ({ ours, path, theirs }) =>
    path === "ConfigMap iofog-nats-config.data.server.conf" && plain(`${ours}`) === plain(`${theirs}`),
  "nats-names": ({ ours, path, theirs }) =>
    /^Secret nats-(site|mqtt)-server\.stringData\.tls\.crt$/.test(path) &&
    ours === withoutDoubles(`${theirs}`),
  "nats-certificate-annotation": ({ ours, path, theirs }) =>
    /^Secret nats-(site|mqtt)-server\.metadata\.annotations$/.test(path) && ours === undefined &&
    Object.keys(theirs as object).join() === "datasance.com/nats-replicas",
};

/** Without quotes where most names need none, the one tab, an `advertise` without a value, and the key. */
function plain(text: string): string {
  return text
    .replace(/^ {2}advertise: \n/m, "")
    .replace(/^( {2}(?:domain|name|advertise): )"([^"]*)"$/gm, "$1$2")
    .replaceAll("\t", "    ")
    .replace(/^( {2}key: ).*$/m, "$1");
}

function withoutDoubles(certificate: string): string {
  return certificate.replace(
    /SANs=\[([^\]]*)\]/,
    (_, names: string) => `SANs=[${[...new Set(names.split(", "))].join(", ")}]`,
  );
}

/** What the API server fills in. */
const defaulted =
  /\.(terminationMessage\w+|resources|restartPolicy|terminationGracePeriodSeconds|dnsPolicy|schedulerName|serviceAccount|defaultMode|revisionHistoryLimit|podManagementPolicy|updateStrategy|persistentVolumeClaimRetentionPolicy|volumeMode|sessionAffinity|ipFamilies|ipFamilyPolicy|allocateLoadBalancerNodePorts|internalTrafficPolicy|clusterIPs|scheme|apiVersion|kind)$/;

for (const name of ["minimal", "all-lb", "ingress-https"]) {
  Deno.test(`natsChildren() makes what recording ${name} has of NATS`, async () => {
    const read = (file: string) =>
      Deno.readTextFile(new URL(`../../../../tests/golden/pot/${name}/${file}`, import.meta.url));
    const { spec } = parse(await read("cr.yaml")) as { spec: Record<string, unknown> };
    const given = parse(await read("given.yaml")) as {
      loadBalancerStatus: Record<string, Record<string, string>>;
      natsBootstrapAnswer: NatsBootstrap;
    };
    const theirs = (parseAll(await read("children.yaml")) as KubeObject[])
      .filter(({ metadata }) => metadata?.labels?.["app.kubernetes.io/component"] === "nats");
    assertEquals(theirs.length, 16);
    const addresses = Object.entries(given.loadBalancerStatus)
      .map(([service, ingress]) => serviceOf(service, ingress));
    const told = { natsBootstrap: given.natsBootstrapAnswer, natsAccounts: [] };
    const objects = await settled(spec, addresses, told);
    const ours = await Promise.all(
      natsChildren(inputsOf(spec, objects, told)).map((child) => asRecorded(child, objects)),
    );
    const found = differencesBetween(ours, theirs)
      .filter(({ ours, path }) => !(ours === undefined && defaulted.test(path)));
    const rows = await Deno.readTextFile(new URL("../../../../docs/differences.md", import.meta.url));
    for (const difference of found) {
      const key = Object.keys(meant).find((key) => meant[key]?.(difference) === true);
      assert(key !== undefined, JSON.stringify(difference, undefined, 2));
      assert(rows.includes(`| \`${key}\``), `docs/differences.md has no line ${key}`);
    }
  });
}

const described: Readonly<Record<string, string>> = {
  "nats-site-ca": "nats-site-ca",
  "nats-site-server": "nats-site-ca",
  "default-nats-local-ca": "default-nats-local-ca",
  "nats-mqtt-server": "default-nats-local-ca",
};

async function asRecorded(child: Child, objects: readonly KubeObject[]): Promise<unknown> {
  if (child.type === "external") throw new Error("nothing of NATS is in the Controller");
  const reference = { apiVersion: "datasance.com/v3", kind: "ControlPlane", name: "pot", controller: true };
  const metadata = {
    ...child.object.metadata,
    ownerReferences: [{ ...reference, blockOwnerDeletion: true }],
  };
  if (child.type === "applied") return { ...child.object, metadata };
  const { name } = child.object.metadata;
  const dataOf = (secret: string) =>
    decodedData(
      (objects.find(({ kind, metadata }) => kind === "Secret" && metadata?.name === secret) as Secret).data ??
        {},
    );
  const authority = described[name];
  const values = dataOf(name);
  const stringData = authority !== undefined
    ? await describedCertificates(values, dataOf(authority)["tls.crt"] ?? "", authority)
    : name === "nats-jetstream-key-pot"
    ? recordedKey(values["jsk"] ?? "")
    : values;
  return { ...child.object, metadata, stringData };
}

function recordedKey(key: string): Record<string, string> {
  assertEquals(Uint8Array.fromBase64(key).length, 32);
  return { jsk: "<JetStream key: 44 characters of standard base64, 32 random bytes>" };
}

const complete = await settled({}, []);

function claim(ordinal: number, size = "10Gi", more: Partial<PersistentVolumeClaim> = {}): KubeObject {
  const { metadata, ...rest } = more;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: `js-data-nats-${ordinal}`,
      uid: `claim-${ordinal}`,
      labels: labelsOf({ name: "pot" }, "nats"),
      ...metadata,
    },
    spec: { resources: { requests: { storage: size } }, volumeName: "pv", storageClassName: "fast" },
    status: { phase: "Bound" },
    ...rest,
  } as KubeObject;
}

function servers(replicas: number, running = replicas): KubeObject {
  const set = complete.find(({ kind }) => kind === "StatefulSet") as StatefulSet;
  return {
    ...set,
    metadata: { ...set.metadata, generation: 1 },
    spec: { ...set.spec, replicas },
    status: { observedGeneration: 1, replicas: running, readyReplicas: running, updatedReplicas: running },
  } as KubeObject;
}

const withoutSet = complete.filter(({ kind }) => kind !== "StatefulSet");
const without = (...names: readonly string[]) =>
  complete.filter(({ kind, metadata }) => !names.includes(`${kind} ${metadata?.name}`));
const names = (children: readonly Child[]) => children.map(childName).sort();
const confOf = (children: readonly Child[]): string =>
  objectOf(children, "ConfigMap iofog-nats-config").data["server.conf"];

Deno.test("natsChildren() waits with servers until all that they mount is known, and says for what", () => {
  const first = names(natsChildren(inputsOf({}, [], {})));
  assert(!first.some((name) => /ConfigMap|StatefulSet|nats-operator-seed/.test(name)), first.join());
  assertEquals(natsWaiting(inputsOf({}, [], {})).map(({ reason }) => reason), ["NatsBootstrapPending"]);
  assertEquals(natsWaiting(inputsOf({}, complete)), []);
});

Deno.test("natsChildren() keeps everything, and goes on with it, while the Controller does not answer", () => {
  assertEquals(names(natsChildren(inputsOf({}, complete, {}))), names(natsChildren(inputsOf({}, complete))));
  const children = natsChildren(inputsOf({ replicas: { nats: 3 } }, [...withoutSet, servers(2)], {}));
  assertEquals(objectOf(children, "ServiceAccount nats").metadata.name, "nats");
  assert(confOf(children).includes("nats://nats-2.nats-headless:6222"));
  assert(confOf(children).includes(`operator = ${bootstrap.operatorJwt}\n`));
  assertEquals(generatedOf(children, "Secret nats-operator-seed").reissue, undefined);
});

Deno.test("the JWT bundle keeps what the Controller added, and has every account that it knows", () => {
  const bundle = (objects: readonly KubeObject[], told?: Partial<Inputs>) =>
    objectOf(natsChildren(inputsOf({}, objects, told)), "ConfigMap iofog-nats-jwt-bundle").data;
  const fresh = { "ASYS.jwt": bootstrap.systemAccountJwt, "ASHOP.jwt": "shop-jwt" };
  assertEquals(bundle(complete), fresh);
  const changed = complete.map((object) =>
    object.metadata?.name === "iofog-nats-jwt-bundle"
      ? { ...object, data: { "AOTHER.jwt": "other-jwt", "ASYS.jwt": "an old one" } }
      : object
  );
  assertEquals(bundle(changed), { ...fresh, "AOTHER.jwt": "other-jwt" });
  assertEquals(bundle(changed, {}), { "AOTHER.jwt": "other-jwt", "ASYS.jwt": "an old one" });
});

Deno.test("a JWT bundle that is gone is made only from the whole list of accounts", () => {
  const gone = without("ConfigMap iofog-nats-jwt-bundle");
  const told = { natsBootstrap: bootstrap };
  assert(!names(natsChildren(inputsOf({}, gone, told))).includes("ConfigMap iofog-nats-jwt-bundle"));
  assertEquals(natsWaiting(inputsOf({}, gone, told)).map(({ reason }) => reason), ["NatsBootstrapPending"]);
  assertEquals(
    Object.keys(objectOf(natsChildren(inputsOf({}, gone)), "ConfigMap iofog-nats-jwt-bundle").data).length,
    2,
  );
});

Deno.test("another operator in the Controller reaches configuration, seed and credentials", async () => {
  const rotated = {
    ...bootstrap,
    operatorJwt: "eyJuZXciOjF9.e30.c2ln",
    operatorSeed: registerSecret("SONEWSEED"),
  };
  const children = natsChildren(inputsOf({}, complete, { natsBootstrap: rotated }));
  assert(confOf(children).includes(`operator = ${rotated.operatorJwt}\n`));
  const seed = generatedOf(children, "Secret nats-operator-seed");
  assertMatch(seed.reissue ?? "", /the Controller has another/);
  assertEquals(decodedData(await seed.generate()), { seed: rotated.operatorSeed });
  assertEquals(generatedOf(children, "Secret nats-creds-sys-admin-hub").reissue, undefined);
});

Deno.test("JetStream's key belongs to the claims, and is never made anew beside data", async () => {
  const key = (objects: readonly KubeObject[]) =>
    generatedOf(natsChildren(inputsOf({}, objects)), "Secret nats-jetstream-key-pot");
  assertEquals(key(complete).retained, undefined);
  const owned = key([...complete, claim(0), claim(1)]);
  assertEquals([owned.retained, owned.reissue], [true, undefined]);
  assertEquals(owned.object.metadata.ownerReferences, [
    { apiVersion: "v1", kind: "PersistentVolumeClaim", name: "js-data-nats-0", uid: "claim-0" },
    { apiVersion: "v1", kind: "PersistentVolumeClaim", name: "js-data-nats-1", uid: "claim-1" },
  ]);
  await assertRejects(() => owned.generate(), Error, "restore it from a backup");
});

Deno.test("servers are begun when JetStream's key is there to stay, and not while it goes with the last claim", () => {
  const others = withoutSet.filter(({ metadata }) => metadata?.name !== "nats-jetstream-key-pot");
  const key = (uid: string) => {
    const found = secretNamed(complete, "nats-jetstream-key-pot");
    const ownerReferences = [{
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      name: "js-data-nats-0",
      uid,
    }];
    return { ...found, metadata: { ...found.metadata, ownerReferences } };
  };
  const isBegun = (...objects: readonly KubeObject[]) =>
    names(natsChildren(inputsOf({}, [...others, ...objects]))).includes("StatefulSet nats");
  assertEquals(isBegun(), false);
  assertEquals(isBegun(key("claim-0")), false);
  assertEquals(isBegun(key("claim-0"), claim(0)), true);
  assertEquals(isBegun(secretNamed(complete, "nats-jetstream-key-pot")), true);
  // Servers that are there stay, whatever becomes of the key.
  assertEquals(isBegun(servers(2)), true);
});

Deno.test("claims grow with the spec and with nothing else; somebody may have made one larger", () => {
  const asks = (size: string | undefined, ...objects: readonly KubeObject[]) => {
    const spec = { nats: { jetStream: { ...(size !== undefined && { storageSize: size }) } } };
    const children = natsChildren(inputsOf(spec, [...withoutSet, servers(2), ...objects]));
    return children.flatMap((child) =>
      childName(child).startsWith("PersistentVolumeClaim")
        ? [objectOf([child], childName(child)).spec.resources.requests.storage]
        : []
    );
  };
  assertEquals(asks(undefined, claim(0), claim(1)), ["10Gi", "10Gi"]);
  assertEquals(asks("20Gi", claim(0), claim(1, "30Gi")), ["20Gi", "30Gi"]);
  assertEquals(asks("20Gi", claim(0, "10Gi", { status: { phase: "Pending" } })), ["10Gi"]);
  const grown = { nats: { jetStream: { storageSize: "20Gi" } } };
  const children = natsChildren(inputsOf(grown, [...withoutSet, servers(2), claim(0)]));
  const [template] = objectOf(children, "StatefulSet nats").spec.volumeClaimTemplates;
  assertEquals(template.spec.resources.requests.storage, "10Gi", "it cannot change");
  assert(confOf(children).includes("max_file_store: 20G\n"));
  const [first] = children.filter((child) => childName(child) === "PersistentVolumeClaim js-data-nats-0");
  assert(first?.type === "applied" && first.adopts === true && first.retained === true);
  const foreign = claim(7, "1Gi", {
    metadata: { name: "js-data-nats-7", labels: { "app.kubernetes.io/name": "x" } },
  });
  assertEquals(asks("20Gi", foreign), []);
});

Deno.test("a size that shrinks and another class are refused with their field", () => {
  const problems = (jetStream: Record<string, string>, ...objects: readonly KubeObject[]) =>
    natsStorageProblems(inputsOf({ nats: { jetStream } }, [...withoutSet, servers(2), ...objects]))
      .map(({ field, message }) => `${field} ${message}`);
  const [small] = problems({ storageSize: "5Gi" }, claim(0));
  assertMatch(
    small ?? "",
    /^spec\.nats\.jetStream\.storageSize must be at least 10Gi, as claim js-data-nats-0: .* Set it/,
  );
  const [slow] = problems({ storageClassName: "slow" }, claim(0));
  assertMatch(slow ?? "", /^spec\.nats\.jetStream\.storageClassName must be fast/);
  const [late] = problems({ storageClassName: "slow" }, claim(0, "10Gi", { spec: { resources: {} } }));
  assertMatch(late ?? "", /^spec\.nats\.jetStream\.storageClassName must be left out, as claim/);
  const pending = { spec: { storageClassName: "none" }, status: { phase: "Pending" as const } };
  const [mistaken] = problems(
    { storageClassName: "slow" },
    claim(0, "10Gi", pending),
    claim(1, "10Gi", pending),
  );
  assertMatch(
    mistaken ?? "",
    /kubectl -n \S+ delete statefulset\/nats persistentvolumeclaim\/js-data-nats-0 persistentvolumeclaim\/js-data-nats-1$/,
  );
  assertEquals(problems({ storageSize: "20Gi", storageClassName: "fast" }, claim(0), claim(1)), []);
  const noted = claim(0, "50Gi", { metadata: { annotations: { "iofog.org/storage-size": "20Gi" } } });
  const named = { ...noted, metadata: { ...claim(0).metadata, ...noted.metadata, name: "js-data-nats-0" } };
  assertEquals(problems({ storageSize: "20Gi" }, named as KubeObject), []);
  assertEquals(problems({}, claim(0, "50Gi")), []);
  // Asked for when the servers were made again beside older claims, whose class lets nothing grow.
  assertEquals(problems({ storageSize: "4Gi" }, claim(0, "4Gi"), claim(1, "4Gi")), []);
  const back = claim(0, "4Gi", { metadata: { annotations: { "iofog.org/storage-size": "4Gi" } } });
  const older = { ...back, metadata: { ...claim(0).metadata, ...back.metadata, name: "js-data-nats-0" } };
  assertEquals(problems({ storageSize: "4Gi" }, older as KubeObject, claim(1)), []);
  assertMatch(problems({ storageSize: "3Gi" }, older as KubeObject, claim(1))[0] ?? "", /at least 4Gi/);
});

Deno.test("a server comes when its name is in the certificates, and its route with it", async () => {
  const spec = { replicas: { nats: 4 } };
  const first = natsChildren(inputsOf(spec, [...withoutSet, servers(2)]));
  const reissue = generatedOf(first, "Secret nats-site-server");
  assertMatch(reissue.reissue ?? "", /not for .*nats-3\.nats-headless/);
  assertEquals(objectOf(first, "StatefulSet nats").spec.replicas, 2);
  const data = await reissue.generate();
  registerSecret(atob(data["tls.key"] ?? ""));
  const named = withoutSet.map((object) =>
    object.metadata?.name === "nats-site-server" ? { ...object, data } : object
  );
  const next = natsChildren(inputsOf(spec, [...named, servers(2)]));
  assertEquals(objectOf(next, "StatefulSet nats").spec.replicas, 3);
  assert(confOf(next).includes("nats-2.nats-headless") && !confOf(next).includes("nats-3.nats-headless"));
});

Deno.test("a server that leaves keeps its name and route until it is gone", () => {
  const natsHealth = { type: "known", unwell: [], members: 3, streams: [] } as const;
  const told = { natsBootstrap: bootstrap, natsHealth };
  const leaving = natsChildren(inputsOf({}, [...withoutSet, servers(3)], told));
  assertEquals(objectOf(leaving, "StatefulSet nats").spec.replicas, 2);
  assert(confOf(leaving).includes("nats-2.nats-headless"));
  const gone = natsChildren(inputsOf({}, [...withoutSet, servers(2)], told));
  assert(!confOf(gone).includes("nats-2.nats-headless"));
});

Deno.test("a restart that somebody asked for stays in the pod template", () => {
  const set = servers(2) as StatefulSet;
  const annotations = { "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z" };
  const restarted = { ...set, spec: { ...set.spec, template: { metadata: { annotations } } } } as KubeObject;
  const children = natsChildren(inputsOf({}, [...withoutSet, restarted]));
  assertEquals(objectOf(children, "StatefulSet nats").spec.template.metadata.annotations, annotations);
});

Deno.test("disabled, only data and the keys to it stay; enabled again, they are found", () => {
  const off = { nats: { enabled: false } };
  const claims = [claim(0), claim(1)];
  assertEquals(names(natsChildren(inputsOf(off, [...complete, ...claims]))), [
    "PersistentVolumeClaim js-data-nats-0",
    "PersistentVolumeClaim js-data-nats-1",
    "Secret default-nats-local-ca",
    "Secret nats-jetstream-key-pot",
    "Secret nats-site-ca",
  ]);
  assertEquals(natsChildren(inputsOf(off, [])), []);
  assertEquals(natsWaiting(inputsOf(off, [])), []);
  const kept = complete.filter(({ metadata }) => /(-ca|-key-pot)$/.test(metadata?.name ?? ""));
  const again = natsChildren(inputsOf({}, [...kept, ...claims]));
  assert(
    confOf(again).includes(atob((secretNamed(kept, "nats-jetstream-key-pot").data ?? {})["jsk"] ?? "?")),
  );
  assertEquals(generatedOf(again, "Secret nats-site-ca").reissue, undefined);
});

function secretNamed(objects: readonly KubeObject[], name: string): Secret {
  return objects.find(({ metadata }) => metadata?.name === name) ?? secretOf(name, {});
}
