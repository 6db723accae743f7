/**
 * What releases of the PoT operator before 3.7 left in a namespace, written under its field manager as it wrote it: the
 * objects that a later release selects, names or serves otherwise. Source: the operator's releases 3.4.18, 3.5.4, 3.6.0.
 */

import { Deployment } from "../../src/kubernetes/generated/apps_v1.ts";
import {
  ConfigMap,
  PersistentVolumeClaim,
  Secret,
  Service,
  ServiceAccount,
} from "../../src/kubernetes/generated/core_v1.ts";
import { Role, RoleBinding } from "../../src/kubernetes/generated/rbac_v1.ts";
import type { KubernetesClient } from "../../src/kubernetes/client.ts";
import type { KubeObject, ObjectMeta, Resource } from "../../src/kubernetes/resource.ts";
import { makeCa, makeLeaf } from "../../src/resources/pki.ts";
import { registerSecret } from "../secrets.ts";

export type FormerRelease = "3.4" | "3.5" | "3.6";

type Labels = Record<string, string>;

/** What an entry of the Controller's looks like. */
export const addedListener = ["tcpListener", {
  name: "press-listener",
  port: "10024",
  address: "press",
}] as const;

/** Where it all is, and whose it is. */
export interface Home {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** Of the ControlPlane. */
  readonly owner: { readonly name: string; readonly uid: string };
  /** Whether the Controller has its database in a volume. */
  readonly isSqlite: boolean;
}

/** Labels of the pods, and what is selected by them. */
export function formerLabels(
  release: FormerRelease,
  component: "controller" | "router",
  name: string,
): Labels {
  const router = component === "router"
    ? { application: "interior-router", "skupper.io/component": "router" }
    : {};
  const site = component === "router" && release !== "3.4" ? { "skupper.io/type": "site" } : {};
  switch (release) {
    case "3.4":
      return { name: component, ...router };
    case "3.5":
      return { "datasance.com/component": component, ...router, ...site };
    case "3.6":
      return {
        "app.kubernetes.io/name": "pot",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": "iofog-operator",
        "datasance.com/component": component,
        ...router,
        ...site,
      };
  }
}

/** Writes all of it; returns the certificate of the authority that edge routers trust, where there is one. */
export async function installFormer(release: FormerRelease, home: Home): Promise<string | undefined> {
  const { client, isSqlite, namespace, owner } = home;
  const make = async <T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    body: Partial<T>,
    labels?: Labels,
  ) => {
    const metadata: ObjectMeta = {
      name,
      namespace,
      ...(labels && { labels }),
      ownerReferences: [{
        apiVersion: "datasance.com/v3",
        kind: "ControlPlane",
        ...owner,
        controller: true,
        blockOwnerDeletion: true,
      }],
    };
    await client.create(resource, { metadata, ...body } as T, { fieldManager: "iofog-operator" });
  };
  const workload = async (
    name: string,
    labels: Labels,
    ports: readonly (readonly [string, number])[],
    volumes: readonly Record<string, unknown>[] = [],
    strategy = "RollingUpdate",
  ) => {
    await make(ServiceAccount, name, {}, labels);
    const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] }];
    await make(Role, name, { rules }, labels);
    await make(RoleBinding, name, {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    }, labels);
    if (ports.length > 0) {
      await make(Service, name, {
        spec: {
          type: "ClusterIP",
          selector: labels,
          ports: ports.map(([name, port]) => ({ name, port, targetPort: port, protocol: "TCP" as const })),
        },
      }, labels);
    }
    const image = `ghcr.io/datasance/${name}:${release}.0`;
    await make(Deployment, name, {
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        strategy: { type: strategy },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: name,
            containers: [{ name, image, imagePullPolicy: "Always" }],
            volumes,
          },
        },
      },
    } as unknown as Partial<Deployment>, labels);
  };

  if (isSqlite) {
    await make(PersistentVolumeClaim, "controller-sqlite", {
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    });
  }
  const controllerPorts = [["controller-api", 51121], ["ecn-viewer", 80]] as const;
  const claim = { name: "controller-sqlite", persistentVolumeClaim: { claimName: "controller-sqlite" } };
  const controller = formerLabels(release, "controller", owner.name);
  await workload(
    "controller",
    controller,
    controllerPorts,
    isSqlite ? [claim] : [],
    isSqlite ? "Recreate" : undefined,
  );
  const router = formerLabels(release, "router", owner.name);
  if (release === "3.4") {
    await workload("port-manager", { name: "port-manager" }, [], [], "Recreate");
    const ports = [["router-message", 5672], ["router-interior", 55672], ["router-edge", 45672]] as const;
    await workload("router", router, ports);
    return undefined;
  }

  const now = Date.now();
  const pair = async (ca: string, leaf: string, commonName: string) => {
    const authority = await makeCa(ca, now);
    const served = await makeLeaf(authority, [commonName, `router.${namespace}.svc.cluster.local`], now);
    for (const [name, values] of [[ca, authority], [leaf, served]] as const) {
      registerSecret(`${values["tls.key"]}`);
      const data = { ...values, "ca.crt": authority["tls.crt"] };
      const encoded = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, btoa(`${value}`)]));
      await make(Secret, name, { type: "kubernetes.io/tls", data: encoded }, router);
    }
    return `${authority["tls.crt"]}`;
  };
  const trusted = await pair("pot-site-ca", "pot-router-site-server", "pot-router");
  await pair("default-router-local-ca", "pot-router-local-server", "pot-router-local");
  const profile = (
    name: string,
  ) => ["sslProfile", { name, certFile: `/etc/skupper-router-certs/${name}/tls.crt` }];
  const document = [
    ["router", { id: "default-router", mode: "interior", helloMaxAgeSeconds: "3" }],
    profile("pot-router-site-server"),
    profile("pot-router-local-server"),
    ["listener", {
      name: "pot-router-edge",
      role: "edge",
      port: 45671,
      sslProfile: "pot-router-site-server",
    }],
    ["listener", { name: "amqps", port: 5671, sslProfile: "pot-router-local-server" }],
    addedListener,
  ];
  await make(ConfigMap, "pot-router", { data: { "skrouterd.json": JSON.stringify(document) } }, router);
  const ports = [["router-message", 5671], ["router-interior", 55671], ["router-edge", 45671]] as const;
  await workload("router", router, ports, [{ name: "pot-router-config", configMap: { name: "pot-router" } }]);
  return trusted;
}
