/** The kinds of the edge as the engine knows them, for both groups. */

import { ConfigMap, Secret } from "../../kubernetes/generated/core_v1.ts";
import type { KubeObject, Resource } from "../../kubernetes/resource.ts";
import type { Definition, DesiredContext, Parent, StatusContext } from "../../operator/definition.ts";
import { decodeBase64 } from "../child.ts";
import { structural } from "../structural_schema.ts";
import {
  agentAccount,
  applicationAccount,
  edgeResourceAccount,
  microserviceAccount,
  routeAccount,
} from "./accounts.ts";
import { assessAgent, type ProvideKey } from "./agent/desired.ts";
import { assessApplication } from "./application/desired.ts";
import { arrange } from "./arrange.ts";
import type { Assessment } from "./assessment.ts";
import { claimsOf } from "./claims.ts";
import { type EdgeGroup, type EdgeKind, edgeKinds, edgeResourceOf, edgeSchemaOf } from "./crds.ts";
import { assessEdgeResource } from "./edge_resource/desired.ts";
import { assessMicroservice, secretsOf } from "./microservice/desired.ts";
import { assessRoute } from "./route/desired.ts";
import { type Account, statusOf } from "./status.ts";

export interface EdgeDefinitionOptions {
  readonly group: EdgeGroup;
  /** Of the ControlPlane of this group. */
  readonly leaseName: string;
  /** Of the ControlPlane of this group, which keeps it. */
  readonly inventoryName: string;
  /** Plural of the Applications, where `apps` is served, as by the CRDs of the CLIs. @default "applications" */
  readonly applications?: string | undefined;
  readonly provideKey?: ProvideKey | undefined;
}

interface Behaviour {
  readonly assess: (context: DesiredContext) => Assessment;
  readonly account: (context: StatusContext) => Account;
}

/** The definitions, in the order in which they are written. */
export function edgeDefinitions(options: EdgeDefinitionOptions): readonly Definition[] {
  const behaviours: Readonly<Record<EdgeKind, Behaviour>> = {
    Agent: { assess: (context) => assessAgent(context, options.provideKey), account: agentAccount },
    EdgeResource: { assess: assessEdgeResource, account: edgeResourceAccount },
    Application: { assess: assessApplication, account: applicationAccount },
    Microservice: { assess: assessMicroservice, account: microserviceAccount },
    Route: { assess: assessRoute, account: routeAccount },
  };
  return edgeKinds.map((kind) => define(kind, behaviours[kind], options));
}

function define(kind: EdgeKind, { account, assess }: Behaviour, options: EdgeDefinitionOptions): Definition {
  const { applications, group, inventoryName, leaseName } = options;
  return {
    resource: edgeResourceOf(kind, group, kind === "Application" ? applications : undefined),
    leaseName,
    childResources: [ConfigMap, Secret],
    neverPruned: [],
    secretNames,
    sharedInventoryName: inventoryName,
    optionalKind: "install the CRDs of the edge and their Role: kubectl apply -k deploy/edge-addon" +
      (group === "datasance.com" ? "/pot" : ""),
    // Takes a while to make, and nothing needs it before the first pass.
    get crdSchema() {
      return structural(edgeSchemaOf(kind));
    },
    singleton: false,
    secretsIn,
    desired: (context) => {
      const found = assess(context);
      return { children: found.children, problems: found.problems, found };
    },
    status: (context) => statusOf(context, context.desired.found as Assessment, account(context)),
    claims: (context) => claimsOf(kind, context),
    arrange,
  };
}

/** Secrets that a custom resource takes values from, and the one with its provisioning key. */
function secretNames(parent: Parent): readonly string[] {
  const { provisioning } = (parent.spec ?? {}) as {
    readonly provisioning?: { readonly secretName?: unknown };
  };
  const own = provisioning?.secretName;
  return [...secretsOf(parent), ...(typeof own === "string" ? [own] : [])];
}

function secretsIn(resource: Resource, object: KubeObject, parents: readonly Parent[]): readonly string[] {
  if (resource.kind !== Secret.kind || resource.group !== Secret.group) return [];
  const { data = {}, metadata } = object as Secret;
  if (Object.keys(data).length === 0) return [];
  const name = metadata?.name ?? "";
  const keys = new Set(
    parents.filter((parent) => secretNames(parent).includes(name)).flatMap((parent) => keysOf(parent, name)),
  );
  return [...keys].flatMap((key) => data[key] === undefined ? [] : [decodeBase64(data[key])]);
}

/** Keys of the Secret `name` from which `parent` takes a value, or into which it puts one that nobody may see. */
function keysOf({ spec }: Parent, name: string): readonly string[] {
  const keys: string[] = ["provisioningKey"];
  JSON.stringify(spec ?? null, (key, value) => {
    const reference = value as { readonly name?: unknown; readonly key?: unknown } | null;
    if (key === "secretKeyRef" && reference?.name === name && typeof reference.key === "string") {
      keys.push(reference.key);
    }
    return value;
  });
  return keys;
}
