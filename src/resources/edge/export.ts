/** From what a Controller holds to custom resources that ask for exactly that. Pure. */

import type { KubeObject } from "../../kubernetes/resource.ts";
import { isRecord } from "../../operator/compare.ts";
import type { ExternalObject } from "../../operator/definition.ts";
import { kubernetesName, kubernetesNames, objectOf } from "./convert.ts";
import { potOnly } from "./agent/desired.ts";
import type { EdgeGroup } from "./crds.ts";
import { specOfMicroservice } from "./row_spec.ts";
import {
  AGENT,
  APPLICATION,
  DEFAULT_ROUTER,
  EDGE_RESOURCE,
  type EdgeWorld,
  MICROSERVICE,
  type Port,
  ROUTE,
} from "./world.ts";

type Json = Readonly<Record<string, unknown>>;

/** What came of a Controller's content. */
export interface Exported {
  readonly objects: readonly KubeObject[];
  /** What a person has to do besides; one sentence each. */
  readonly notes: readonly string[];
}

/** Names of variables whose values nobody should find in a file. */
const secretName = /passw|secret|token|credential|private|api_?key/i;

/** Objects with the annotation that lets them be adopted. */
export function customResourcesOf(world: EdgeWorld, group: EdgeGroup): Exported {
  const objects: KubeObject[] = [];
  const notes: string[] = [];
  const nameFor = kubernetesNames();
  const annotations = { "iofog.org/adopt": "true" };
  const add = (kind: string, name: string, spec: Json, wanted = name) =>
    objects.push(objectOf({ group, kind, name, spec, wanted, annotations }, nameFor));
  const all = [...world.values()];
  for (const object of all.filter(({ kind }) => kind === EDGE_RESOURCE)) {
    const at = object.name.lastIndexOf("/");
    const [name, version] = [object.name.slice(0, at), object.name.slice(at + 1)];
    const { custom, description, display, endpoints, interfaceProtocol, orchestrationTags } = object.fields;
    const spec = {
      version,
      description,
      interfaceProtocol,
      ...(endpoints === undefined ? {} : { interface: { endpoints } }),
      display,
      orchestrationTags,
      custom: JSON.parse(`${custom}`),
    };
    const others = all.filter(({ kind, name: each }) =>
      kind === EDGE_RESOURCE && each.startsWith(`${name}/`)
    );
    // Two versions of one name need two names in Kubernetes.
    add(EDGE_RESOURCE, name, spec, others.length === 1 ? name : `${name}-${version}`);
    if (endpoints === undefined) {
      notes.push(
        `EdgeResource ${name}: this Controller does not tell the endpoints: they stay as they are until spec.interface says others`,
      );
    }
  }
  for (const { fields, kind, name } of all) {
    if (kind === AGENT && name !== DEFAULT_ROUTER && fields["isSystem"] !== true) {
      add(AGENT, name, agentSpec(fields, group));
    }
  }
  for (const object of all.filter(({ kind }) => kind === APPLICATION)) {
    const inside = (kind: string) =>
      all.filter((each) => each.kind === kind && each.name.startsWith(`${object.name}/`));
    const { description, isActivated, natsAccess, natsRule } = object.fields;
    const nats = pick({ natsAccess, natsRule });
    add(APPLICATION, object.name, {
      description,
      isActivated,
      ...(Object.keys(nats).length === 0 ? {} : { natsConfig: nats }),
      microservices: inside(MICROSERVICE).filter(({ fields, name }) => {
        if (fields["complete"] !== true) notes.push(`Microservice ${name} was left out: its creation failed`);
        return fields["complete"] === true;
      }).map((each) => microserviceSpec(object.name, each, notes)),
      routes: inside(ROUTE).map(({ name, fields: { from, to } }) => ({
        name: nameIn(object.name, name),
        from,
        to,
      })),
    });
  }
  return { objects, notes };
}

function nameIn(application: string, name: string): string {
  return name.slice(application.length + 1);
}

const router = ["routerMode", "messagingPort", "edgeRouterPort", "interRouterPort"];
const nats = [
  ...["natsMode", "natsServerPort", "natsLeafPort", "natsClusterPort", "natsMqttPort", "natsHttpPort"],
  ...["jsStorageSize", "jsMemoryStoreSize"],
];
const observedOnly = [
  ...[
    "fogType",
    "behind",
    "tags",
    "upstreamRouters",
    "networkRouter",
    "isSystem",
    "daemonStatus",
    "version",
    "ipAddress",
  ],
  ...[
    "ipAddressExternal",
    "warningMessage",
    "provisioned",
    "violations",
    "linkedTags",
    "links",
    "ports",
    "host",
  ],
];
const types = ["auto", "x86", "arm"];

function agentSpec(fields: Json, group: EdgeGroup): Json {
  const { fogType, host, links, networkRouter, routerMode, tags, upstreamRouters } = fields;
  const linked = new Set(fields["linkedTags"] as string[]);
  const config = Object.fromEntries(
    Object.entries(fields).filter(([key]) =>
      ![...router, ...nats, ...observedOnly].includes(key) && !(group === "iofog.org" && potOnly.has(key))
    ),
  );
  const routerConfig = pick(fields, router);
  const natsConfig = pick(fields, nats);
  return {
    ...(host === undefined ? {} : { host }),
    tags: (tags as string[]).filter((tag) => !linked.has(tag)),
    ...((links as string[]).length === 0 ? {} : {
      edgeResources: (links as string[]).map((link) => {
        const at = link.lastIndexOf("/");
        return { name: link.slice(0, at), version: link.slice(at + 1) };
      }),
    }),
    config: {
      agentType: types[Number(fogType)] ?? "auto",
      ...config,
      ...(Object.keys(routerConfig).length === 0 ? {} : { routerConfig }),
      ...(Object.keys(natsConfig).length === 0 ? {} : { natsConfig }),
      ...(routerMode === "none"
        ? networkRouter === undefined || networkRouter === DEFAULT_ROUTER ? {} : { networkRouter }
        : { upstreamRouters }),
    },
  };
}

function microserviceSpec(
  application: string,
  { fields, name: whole }: ExternalObject,
  notes: string[],
): unknown {
  const name = nameIn(application, whole);
  const env = fields["env"] as readonly { readonly key: string; readonly value?: string }[];
  const config = parsed(fields["config"]);
  if (config === undefined) {
    notes.push(`Microservice ${whole}: its configuration is no JSON and was left out`);
  }
  return specOfMicroservice({
    ...fields,
    name,
    config,
    registryId: fields["catalogItemId"] === null ? fields["registryId"] : undefined,
    env: env.map((item) => {
      if (item.value === undefined || !secretName.test(item.key)) return item;
      const secret = kubernetesName(`${application}-${name}`);
      notes.push(
        `Microservice ${whole}: create Secret ${secret} with the value of ${item.key} under that key before you apply this`,
      );
      return { key: item.key, valueFrom: { secretKeyRef: { name: secret, key: item.key } } };
    }),
    ports: (fields["ports"] as readonly Port[]).map(({ public: shown, ...port }) =>
      shown === null ? port : { ...port, public: shown }
    ),
  });
}

function parsed(text: unknown): unknown {
  try {
    const value = JSON.parse(`${text}`);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What has a value. */
function pick(fields: Json, keys: readonly string[] = Object.keys(fields)): Json {
  return Object.fromEntries(keys.filter((key) => fields[key] !== undefined).map((key) => [key, fields[key]]));
}
