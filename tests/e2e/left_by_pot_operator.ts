/** What the PoT operator 3.7.2 leaves in a namespace: the recording, with real certificates. */

import { parse, parseAll } from "@std/yaml";
import { systemClock } from "../../src/clock.ts";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { potDefinition } from "../../src/resources/controlplane/pot/definition.ts";
import { type CertificateData, makeCa, makeLeaf } from "../../src/resources/pki.ts";
import { type Json, present } from "../json.ts";
import { registerSecret } from "../secrets.ts";
import type { Scene } from "./harness.ts";

/**
 * Writes it, under the field manager of that operator; returns the authorities by their Secrets.
 *
 * @param uid Of the ControlPlane, which is called `pot`.
 */
export async function leaveAsPotOperator(
  { client, kubelet, namespace }: Pick<Scene, "client" | "kubelet" | "namespace">,
  uid: string,
): Promise<ReadonlyMap<string, CertificateData>> {
  const recorded = (file: string) =>
    Deno.readTextFile(new URL(`../golden/pot/all-lb/${file}`, import.meta.url));
  const { loadBalancerStatus } = parse(await recorded("given.yaml")) as {
    loadBalancerStatus: Record<string, { ip: string }>;
  };
  for (const [name, address] of Object.entries(loadBalancerStatus)) {
    kubelet.cloud.assign({ namespace, name }, address);
  }
  const authorities = new Map<string, CertificateData>();
  for (const child of parseAll(await recorded("children.yaml")) as (KubeObject & { stringData?: Json })[]) {
    const resource = potDefinition().childResources.find(({ kind }) => kind === child.kind);
    const { name = "", labels = {}, annotations } = child.metadata ?? {};
    const ownerReferences = (child.metadata?.ownerReferences ?? []).map((owner) => ({ ...owner, uid }));
    const metadata = { name, namespace, labels, ownerReferences, ...(annotations && { annotations }) };
    const stringData = child.stringData && await secretsOf(name, child.stringData, authorities);
    await client.create(
      present(resource),
      { ...child, metadata, ...(stringData && { stringData }) } as KubeObject,
      { fieldManager: "iofog-operator" },
    );
  }
  return authorities;
}

/** The values of a recorded Secret, with real ones for what the recording only describes. */
export async function secretsOf(
  name: string,
  values: Json,
  authorities: Map<string, CertificateData>,
): Promise<Json> {
  if (values["jsk"] !== undefined) return { jsk: registerSecret(btoa("k".repeat(32))) };
  if (values["tls.crt"] === undefined) return values;
  const now = systemClock.now();
  const signer = /signed by Secret ([a-z-]+)/.exec(`${values["tls.crt"]}`)?.[1] ?? name;
  const ca = authorities.get(signer) ?? await makeCa(signer, now, [signer]);
  authorities.set(signer, ca);
  if (signer === name) return { ...ca, "ca.crt": ca["tls.crt"] };
  return { ...await makeLeaf(ca, ["router"], now), "ca.crt": ca["tls.crt"] };
}
