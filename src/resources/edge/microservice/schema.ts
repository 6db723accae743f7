/** The spec and status of a Microservice, and what it has in common with those inside of an Application. */

import * as z from "zod";
import {
  checkEdgeSpec,
  controllerName,
  filled,
  flag,
  immutable,
  looseText,
  ownName,
  statusOf,
  strings,
  text,
  valueFrom,
  whole,
} from "../fields.ts";

const externalPort = z.int32().refine((value) => value >= 1 && value <= 65535, {
  error: "must be a port from 1 to 65535",
}).refine((value) => value !== 54321 && value !== 54322, {
  error: "is reserved by the agent: choose another port",
});

const publicPort = z.strictObject({
  schemes: z.array(z.string()).meta({ description: "Schemes of its links, e.g. https." }),
  protocol: z.enum(["tcp", "http"]).meta({ description: "Protocol on the public port." }),
  enabled: flag("Whether it is open."),
  router: z.strictObject({
    host: text("Agent with the router that has the public port."),
    port: whole("The public port.", 1, 65535),
  }).optional().meta({ description: "Where it is public. Left out: the Controller chooses." }),
}).optional().meta({ description: "Makes the port public at a router; ioFog only." });

const ports = z.array(z.strictObject({
  internal: whole("Port in the container.", 1, 65535).unwrap().meta({
    description: "Port in the container.",
  }),
  external: externalPort.meta({
    description: "Port of the agent. One of each number, whatever the protocol.",
  }),
  protocol: z.enum(["tcp", "udp"]).optional().meta({
    description: "Protocol. The Controller's default is tcp.",
  }),
  public: publicPort,
  proxy: flag("Needs a server that no release has any more: it is not used here, and a condition says so."),
})).superRefine((list, context) => {
  const seen = new Set<number>();
  list.forEach(({ external, internal }, index) => {
    for (const number of [external, -internal]) {
      if (seen.has(number)) {
        const which = number > 0 ? "external" : "internal";
        const message = `is port ${Math.abs(number)} a second time: give each ${which} port once`;
        context.addIssue({ code: "custom", path: [index, which], message });
      }
      seen.add(number);
    }
  });
}).optional().meta({ description: "Ports." });

const keptValue = (kind: string) =>
  z.string().refine((reference) => /^[^/]+\/[^/]+$/.test(reference), { error: "must be NAME/KEY" })
    .optional().meta({ description: `\`name/key\` of a ${kind} of the Controller; PoT only.` });

const container = z.strictObject({
  commands: strings("Arguments, in order."),
  env: z.array(
    z.strictObject({
      key: z.string().meta({ description: "Name of the variable." }),
      value: looseText("Its value.").optional(),
      valueFrom,
      valueFromSecret: keptValue("secret"),
      valueFromConfigMap: keptValue("config map"),
    }).refine((item) =>
      [item.value, item.valueFrom, item.valueFromSecret, item.valueFromConfigMap]
        .filter((each) => each !== undefined).length === 1, {
      error: "must have exactly one of value, valueFrom, valueFromSecret and valueFromConfigMap",
    }),
  ).superRefine((list, context) => {
    list.forEach(({ key, valueFrom }, index) => {
      // Which of two values is a secret could not be told any more.
      if (valueFrom === undefined || list.filter((each) => each.key === key).length < 2) return;
      const message = `${key} is there a second time: give a variable with valueFrom once`;
      context.addIssue({ code: "custom", path: [index, "key"], message });
    });
  }).optional().meta({ description: "Environment variables." }),
  volumes: z.array(z.strictObject({
    hostDestination: z.string().meta({ description: "Directory of the host, or name of the volume." }),
    containerDestination: z.string().meta({ description: "Where it is in the container." }),
    accessMode: z.string().meta({ description: "rw or ro." }),
    type: z.enum(["bind", "volume", "volumeMount"]).optional().meta({
      description: "What hostDestination names. The Controller's default is bind; volumeMount is PoT only.",
    }),
  })).optional().meta({ description: "Volumes." }),
  ports,
  extraHosts: z.array(z.strictObject({
    name: z.string().meta({ description: "Host name." }),
    address: z.string().meta({
      description:
        "Its address: a literal, `${Agents.AGENT}`, or `${Apps.APPLICATION.MICROSERVICE.local}`, as the Controller resolves it.",
    }),
  })).optional().meta({ description: "Entries of the container's /etc/hosts." }),
  rootHostAccess: flag("Whether it is privileged and in the host's network; ioFog only."),
  logSize: whole("Size of its log, in MB."),
  hostNetworkMode: flag("Whether it is in the host's network; PoT only."),
  isPrivileged: flag("Whether it is privileged; PoT only."),
  pidMode: text("PID namespace; PoT only."),
  ipcMode: text("IPC namespace; PoT only."),
  runAsUser: text("User in the container; PoT only."),
  platform: text("Platform of the image; PoT only."),
  runtime: text("Container runtime; PoT only."),
  cpuSetCpus: text("CPUs that it may use; PoT only."),
  memoryLimit: whole("Memory that it may use, in MiB; PoT only."),
  cdiDevices: strings("CDI devices; PoT only."),
  capAdd: strings("Capabilities to add; PoT only."),
  capDrop: strings("Capabilities to drop; PoT only."),
  annotations: z.record(z.string(), z.string()).optional().meta({ description: "Annotations; PoT only." }),
  healthCheck: z.strictObject({
    test: z.array(z.string()).meta({ description: "Command." }),
    interval: whole("Seconds between two checks."),
    timeout: whole("Seconds until a check has failed."),
    startPeriod: whole("Seconds at the start in which a failure does not count."),
    startInterval: whole("Seconds between two checks at the start."),
    retries: whole("Failures until it is unhealthy."),
  }).optional().meta({ description: "How its health is checked; PoT only." }),
}).optional().meta({ description: "The container. Lists that are left out are empty." });

export const natsAccess = z.strictObject({
  natsAccess: flag("Whether it may use NATS."),
  natsRule: text("Name of the rule for what it may do there."),
}).optional().meta({ description: "Access to NATS; PoT only." });

/** What stands in a Microservice, and in each of an Application. */
export const microserviceFields = {
  agent: z.strictObject({
    name: z.string().meta({ description: "Name of the agent in the Controller." }),
    config: z.record(z.string(), z.unknown()).optional().meta({
      description: "Not used here: an Agent says how it is configured.",
      "x-kubernetes-preserve-unknown-fields": true,
    }),
  }).meta({ description: "The agent that it runs on." }),
  images: z.strictObject({
    x86: filled("Image for x86."),
    arm: filled("Image for ARM."),
    registry: looseText(
      "`remote`, `local`, or the URL or number of a registry of the Controller. The Controller's default is remote.",
    ).optional(),
    catalogItem: filled("Name of an item of the Controller's catalogue, instead of images."),
    catalogId: whole("Number of an item of the catalogue, instead of images and `catalogItem`.", 1),
  }).refine(
    ({ arm, catalogId, catalogItem, x86 }) =>
      [x86, arm, catalogId, catalogItem].some((each) => each !== undefined),
    {
      error: "must name an image in x86 or arm, or an item of the catalogue in catalogItem",
    },
  ).refine(({ catalogId, catalogItem }) => catalogId === undefined || catalogItem === undefined, {
    error: "must have catalogItem or catalogId, not both",
  }).meta({ description: "What it runs." }),
  config: z.record(z.string(), z.unknown()).optional().meta({
    description: "Configuration that the microservice reads.",
    "x-kubernetes-preserve-unknown-fields": true,
  }),
  container,
  schedule: whole("Order in which microservices start; PoT only.", 0, 100),
  natsConfig: natsAccess,
  serviceAccount: z.strictObject({
    roleRef: z.strictObject({
      kind: text("Role, which is all that there is."),
      name: filled("Name of the role. The Controller's default is microservice."),
      apiGroup: text("Not used."),
    }).optional().meta({ description: "Role of the Controller." }),
  }).optional().meta({
    description: "What it may do at the Controller's API; PoT only. Left out: whatever role it has stays.",
  }),
  rebuild: flag("Only iofogctl and potctl use it: it is not used here."),
  uuid: text("Filled by iofogctl and potctl; it is not used here."),
};

/** A microservice inside of an Application. */
export const embeddedMicroservice = z.strictObject({
  name: controllerName("Name; one of each in an application."),
  ...microserviceFields,
});
export type EmbeddedMicroservice = z.output<typeof embeddedMicroservice>;

const spec = z.strictObject({
  name: ownName,
  application: controllerName("Name of the application in the Controller. It cannot be changed."),
  ...microserviceFields,
}).meta({ description: "What the microservice should be.", ...immutable("name", "application") });

export type MicroserviceSpec = z.output<typeof spec>;

/** The schema of the custom resource, for both groups. */
export const microserviceSchema = z.strictObject({
  spec,
  status: statusOf({
    uuid: text("Name of the microservice in the Controller's API."),
    status: text("What the agent says of it, e.g. RUNNING."),
    agent: text("Agent that it is on."),
    image: text("Image that it should run there."),
    errorMessage: text("What the agent said last about a failure."),
  }),
}).meta({
  description: "A container on an edge node, in an application that this namespace may have or not.",
});

export const parseMicroservice = (raw: unknown) => checkEdgeSpec(spec, raw);
