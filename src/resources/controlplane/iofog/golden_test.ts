/**
 * What we make, beside what the Go operator 3.2.0 made on a real API server (tests/golden/iofog).
 *
 * Everything that differs must be a default that the API server fills in, or a line of docs/differences.md.
 */

import { assertEquals } from "@std/assert";
import {
  decodedData,
  describedCertificates,
  type Difference,
  differencesBetween,
  isMeant,
  meant,
  readRecording,
  type Recording,
  recordingNames,
} from "../../../../tests/golden/recordings.ts";
import type { Child, DesiredContext } from "../../../operator/definition.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { Secret } from "../../../kubernetes/generated/core_v1.ts";
import { desired } from "./desired.ts";
import * as fixtures from "./fixtures.ts";
import type { Images } from "./images.ts";

/** What the recorded operator was built with. */
const recordedImages: Images = {
  controller: "gcr.io/focal-freedom-236620/controller:v3.0.0-beta1",
  router: "gcr.io/focal-freedom-236620/router:v3.0.0-beta1",
  portManager: "gcr.io/focal-freedom-236620/port-manager:v3.0.0-beta1",
  proxy: "gcr.io/focal-freedom-236620/proxy:v3.0.0-beta1",
};

/** What the API server fills in, by the end of the path. */
const defaults: Readonly<Record<string, unknown>> = {
  ".terminationMessagePath": "/dev/termination-log",
  ".terminationMessagePolicy": "File",
  ".resources": {},
  ".readinessProbe.successThreshold": 1,
  ".httpGet.scheme": "HTTP",
  ".spec.restartPolicy": "Always",
  ".spec.terminationGracePeriodSeconds": 30,
  ".spec.dnsPolicy": "ClusterFirst",
  ".spec.securityContext": {},
  ".spec.schedulerName": "default-scheduler",
  ".secret.defaultMode": 420,
  ".spec.revisionHistoryLimit": 10,
  ".spec.progressDeadlineSeconds": 600,
  ".spec.volumeMode": "Filesystem",
  ".metadata.finalizers": ["kubernetes.io/pvc-protection"],
  ".spec.sessionAffinity": "None",
  ".spec.ipFamilies": ["IPv4"],
  ".spec.ipFamilyPolicy": "SingleStack",
  ".spec.allocateLoadBalancerNodePorts": true,
  ".spec.internalTrafficPolicy": "Cluster",
};
/** A copy that the API server makes of `serviceAccountName`. */
const COPIED_FIELD = /\.spec\.serviceAccount$/;

for (const name of recordingNames) {
  Deno.test(`desired() makes the children of recording ${name}`, async () => {
    const recording = await readRecording(name);
    const found = differencesBetween(await children(recording), recording.children);
    assertEquals(found.filter((difference) => !isMeant(difference) && !isDefault(difference)), []);
  });

  Deno.test(`desired() writes into the Controller what recording ${name} wrote`, async () => {
    const recording = await readRecording(name);
    const bodyOf = (method: string, path: string) =>
      recording.calls.find((call) => call.method === method && call.url.endsWith(path))?.body;
    const { children } = desired(await settled(recording), recordedImages);
    const user = fixtures.externalOf(children, "User");
    const { password, ...profile } = user.fields;
    assertEquals({ ...profile, password: user.secrets?.["password"] }, bodyOf("POST", "/user/signup"));
    assertEquals(password, "accepted");
    assertEquals(fixtures.externalOf(children, "DefaultRouter").fields, bodyOf("PUT", "/router"));
  });
}

Deno.test("docs/differences.md has a line for each difference from the recordings", async () => {
  const text = await Deno.readTextFile(new URL("../../../../docs/differences.md", import.meta.url));
  // The planted id is a call, which only the integration suite sees.
  const missing = [...meant.map(({ key }) => key), "planted-id"].filter((key) =>
    !text.includes(`\`${key}\``)
  );
  assertEquals(missing, []);
});

/** The snapshot in which nothing is missing that children depend on: addresses, and the authority. */
async function settled({ spec, addresses }: Recording): Promise<DesiredContext> {
  const authority = fixtures.generatedOf(desired(fixtures.contextOf(spec)).children, "Secret router-ca");
  const objects = [
    ...Object.entries(addresses).map(([name, ingress]) => fixtures.serviceOf(name, ingress)),
    { ...authority.object, data: await authority.generate() } as KubeObject,
  ];
  return fixtures.contextOf(spec, fixtures.snapshotOf(objects));
}

/** Our children in the form of the recordings. */
async function children(recording: Recording): Promise<readonly unknown[]> {
  const context = await settled(recording);
  const made = desired(context, recordedImages).children.filter((child) => child.type !== "external");
  return await Promise.all(made.map((child) => asRecorded(child, context)));
}

async function asRecorded(
  child: Exclude<Child, { type: "external" }>,
  context: DesiredContext,
): Promise<unknown> {
  const { data, ...object } = child.object as KubeObject & { data?: Record<string, string> };
  const metadata = {
    ...object.metadata,
    ownerReferences: [{
      apiVersion: "iofog.org/v3",
      kind: "ControlPlane",
      name: "iofog",
      controller: true,
      blockOwnerDeletion: true,
    }],
  };
  if (child.type === "applied") {
    return { ...object, metadata, ...(data === undefined ? {} : { stringData: decodedData(data) }) };
  }
  const authority = context.snapshot.get(Secret, "router-ca")?.data ?? {};
  const values = object.metadata?.name === "router-ca" ? authority : await child.generate();
  const ca = decodedData(authority)["tls.crt"] ?? "";
  return { ...object, metadata, stringData: await describedCertificates(decodedData(values), ca) };
}

/** Whether we leave to the API server what it fills in. */
function isDefault({ path, ours, theirs }: Difference): boolean {
  if (ours !== undefined) return false;
  if (COPIED_FIELD.test(path)) return true;
  return Object.entries(defaults).some(([end, value]) =>
    path.endsWith(end) && JSON.stringify(value) === JSON.stringify(theirs)
  );
}
