/** What the PoT operator 3.7.2 writes: the recording (`tests/golden/pot`), with real certificates. */

import { parse, parseAll } from "@std/yaml";
import { systemClock } from "../../src/clock.ts";
import type { KubeObject, Resource } from "../../src/kubernetes/resource.ts";
import { AUTH_SECRET } from "../../src/resources/controlplane/pot/controller.ts";
import { PotControlPlane, potDefinition } from "../../src/resources/controlplane/pot/definition.ts";
import { type CertificateData, makeCa, makeLeaf } from "../../src/resources/pki.ts";
import type { Json } from "../json.ts";
import { registerSecret } from "../secrets.ts";
import { goManager } from "./go_operator.ts";
import type { ControlPlaneObject, Scene } from "./harness.ts";

type Recorded = KubeObject & { readonly stringData?: Readonly<Record<string, string>> };

/** The recording as it is in one namespace. */
export interface PotRecording {
  /** The authorities, by the names of their Secrets. */
  readonly authorities: ReadonlyMap<string, CertificateData>;
  /** The objects of the ControlPlane with this uid. */
  children(uid: string): readonly Recorded[];
}

/**
 * Reads it; its load balancers get the addresses that it has.
 *
 * @param auth `spec.auth` of the ControlPlane that it was made for. @default as recorded
 */
export async function readPotRecording(
  { kubelet, namespace }: Pick<Scene, "kubelet" | "namespace">,
  auth?: Readonly<Record<string, string>>,
): Promise<PotRecording> {
  const read = (file: string) => Deno.readTextFile(new URL(`../golden/pot/all-lb/${file}`, import.meta.url));
  const { loadBalancerStatus } = parse(await read("given.yaml")) as {
    loadBalancerStatus: Record<string, { ip: string }>;
  };
  for (const [name, address] of Object.entries(loadBalancerStatus)) {
    kubelet.cloud.assign({ namespace, name }, address);
  }
  const authorities = new Map<string, CertificateData>();
  const recorded: Recorded[] = [];
  for (const child of parseAll(await read("children.yaml")) as Recorded[]) {
    const { stringData } = child;
    const name = child.metadata?.name ?? "";
    const values = name === AUTH_SECRET && auth !== undefined
      ? authOf(auth)
      : stringData && await secretsOf(name, namespace, stringData, authorities);
    recorded.push(values === undefined ? child : { ...child, stringData: values } as Recorded);
  }
  return {
    authorities,
    children: (uid) =>
      recorded.map((child) => {
        const { name = "", labels = {}, annotations, ownerReferences = [] } = child.metadata ?? {};
        const metadata = {
          name,
          namespace,
          labels,
          ...(annotations && { annotations }),
          ownerReferences: ownerReferences.map((reference) => ({ ...reference, uid })),
        };
        return structuredClone({ ...child, metadata });
      }),
  };
}

/** The kind of a recorded object. */
export function recordedKind(child: KubeObject): Resource {
  const found = potDefinition().childResources.find(({ kind }) => kind === child.kind);
  if (found === undefined) throw new Error(`the recording has a ${child.kind}`);
  return found;
}

/**
 * Writes all of it, where there is no Controller to play the rest with.
 *
 * @param uid Of the ControlPlane, which is called `pot`, and which the Controller was told of Keycloak by.
 */
export async function leaveAsPotOperator(
  scene: Pick<Scene, "client" | "kubelet" | "namespace">,
  uid: string,
): Promise<void> {
  const { client, namespace } = scene;
  const { spec } = await client.get(PotControlPlane, { namespace, name: "pot" }) as ControlPlaneObject;
  const auth = spec?.["auth"] as Record<string, string>;
  for (const child of (await readPotRecording(scene, auth)).children(uid)) {
    await scene.client.create(recordedKind(child), child, goManager);
  }
}

function authOf(auth: Readonly<Record<string, string>>): Json {
  return {
    "auth-url": auth["url"],
    "auth-realm": auth["realm"],
    "auth-realm-key": auth["realmKey"],
    "auth-ssl-req": auth["ssl"],
    "auth-controller-client": auth["controllerClient"],
    "auth-controller-client-secret": auth["controllerSecret"],
    "auth-viewer-client": auth["viewerClient"],
  };
}

/** The values of a recorded Secret, with real ones for what the recording only describes. */
async function secretsOf(
  name: string,
  namespace: string,
  values: Json,
  authorities: Map<string, CertificateData>,
): Promise<Json> {
  if (values["jsk"] !== undefined) return { jsk: registerSecret(btoa("k".repeat(32))) };
  if (values["tls.crt"] === undefined) return values;
  const now = systemClock.now();
  const described = `${values["tls.crt"]}`;
  const signer = /signed by Secret ([a-z-]+)/.exec(described)?.[1] ?? name;
  const ca = authorities.get(signer) ?? await makeCa(signer, now, [signer]);
  authorities.set(signer, ca);
  if (signer === name) return { ...ca, "ca.crt": ca["tls.crt"] };
  const [, commonName = ""] = /subject CN=([^;]+)/.exec(described) ?? [];
  const [first = "", ...others] = [...described.matchAll(/\b(?:DNS|IP):([^,\]]+)/g)]
    .map(([, host = ""]) => host.replace(".pot.svc.", `.${namespace}.svc.`));
  const leaf = await makeLeaf(ca, [first, ...others], now, { commonName, addressesAsNames: true });
  return { ...leaf, "ca.crt": ca["tls.crt"] };
}
