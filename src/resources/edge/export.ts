/** From what a Controller holds to custom resources that ask for exactly that. Pure. */

import type { KubeObject } from "../../kubernetes/resource.ts";
import type { ExternalObject } from "../../operator/definition.ts";
import { kubernetesName } from "./convert.ts";
import type { EdgeGroup } from "./crds.ts";
import {
  AGENT,
  APPLICATION,
  DEFAULT_ROUTER,
  EDGE_RESOURCE,
  type EdgeWorld,
  type Image,
  MICROSERVICE,
  type Port,
  potContainerFields,
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
  const add = (kind: string, name: string, spec: Json) => {
    const allowed = kubernetesName(name);
    objects.push({
      apiVersion: `${group}/v3`,
      kind,
      metadata: { name: allowed, annotations: { "iofog.org/adopt": "true" } },
      spec: allowed === name ? spec : { name, ...spec },
    } as KubeObject);
  };
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
    if (others.length === 1) add(EDGE_RESOURCE, name, spec);
    else {
      objects.push({
        apiVersion: `${group}/v3`,
        kind: EDGE_RESOURCE,
        metadata: { name: kubernetesName(`${name}-${version}`), annotations: { "iofog.org/adopt": "true" } },
        spec: { name, ...spec },
      } as KubeObject);
    }
    if (endpoints === undefined) {
      notes.push(
        `EdgeResource ${name}: this Controller does not tell the endpoints: add spec.interface.endpoints`,
      );
    }
  }
  for (const { fields, kind, name } of all) {
    if (kind === AGENT && name !== DEFAULT_ROUTER && fields["isSystem"] !== true) {
      add(AGENT, name, agentSpec(fields));
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
      microservices: inside(MICROSERVICE).map((each) => microserviceSpec(object.name, each, notes)),
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

function agentSpec(fields: Json): Json {
  const { fogType, host, links, networkRouter, routerMode, tags, upstreamRouters } = fields;
  const linked = new Set(fields["linkedTags"] as string[]);
  const config = Object.fromEntries(
    Object.entries(fields).filter(([key]) => ![...router, ...nats, ...observedOnly].includes(key)),
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
): Json {
  const name = nameIn(application, whole);
  const images = fields["images"] as readonly Image[];
  const [x86, arm] = [1, 2].map((type) => images.find(({ fogTypeId }) => fogTypeId === type)?.containerImage);
  const catalogId = fields["catalogItemId"];
  const env = fields["env"] as readonly { readonly key: string; readonly value?: string }[];
  const config = parsed(fields["config"]);
  if (config === undefined) {
    notes.push(`Microservice ${whole}: its configuration is no JSON and was left out`);
  }
  const { schedule, ...pot } = pick(fields, potContainerFields);
  return {
    name,
    agent: { name: fields["agentName"] },
    images: {
      ...(catalogId === null ? pick({ x86, arm }) : { catalogId }),
      registry: `${fields["registryId"]}`,
    },
    ...(config === undefined ? {} : { config }),
    ...(schedule === undefined ? {} : { schedule }),
    container: {
      ...pick(fields, ["rootHostAccess", "logSize"]),
      ...pot,
      commands: fields["cmd"],
      env: env.map((item) => {
        if (item.value === undefined || !secretName.test(item.key)) return item;
        const secret = kubernetesName(`${application}-${name}`);
        notes.push(
          `Microservice ${whole}: create Secret ${secret} with the value of ${item.key} under that key before you apply this`,
        );
        return { key: item.key, valueFrom: { secretKeyRef: { name: secret, key: item.key } } };
      }),
      volumes: fields["volumeMappings"],
      ports: (fields["ports"] as readonly Port[]).map(({ public: shown, ...port }) =>
        shown === null ? port : { ...port, public: shown }
      ),
      extraHosts: fields["extraHosts"],
    },
  };
}

function parsed(text: unknown): unknown {
  try {
    return JSON.parse(`${text}`);
  } catch {
    return undefined;
  }
}

/** What has a value. */
function pick(fields: Json, keys: readonly string[] = Object.keys(fields)): Json {
  return Object.fromEntries(keys.filter((key) => fields[key] !== undefined).map((key) => [key, fields[key]]));
}
