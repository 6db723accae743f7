/** The spec and status of an Agent, for both groups; see the YAML `Agent` and `AgentConfig` of iofogctl and potctl. */

import * as z from "zod";
import { checkEdgeSpec, cliOnly, flag, immutable, port, statusOf, strings, text, whole } from "../fields.ts";

const degrees = (description: string, most: number) =>
  z.number().refine((value) => Math.abs(value) <= most, { error: `must be from -${most} to ${most}` })
    .optional().meta({ description });

const storage = (description: string) =>
  z.string().refine((value) => /^[0-9]+\s*(m|mb|g|gb|t|tb)?$/i.test(value), {
    error: "must be a number of m, g or t, such as 10g",
  }).optional().meta({ description });

const routerConfig = z.strictObject({
  routerMode: z.enum(["edge", "interior", "none"]).optional().meta({
    description: "What the agent's router is to others. The Controller's default is edge.",
  }),
  messagingPort: port("Port of the agent's router for microservices. The Controller's default is 5672."),
  edgeRouterPort: port("Port for routers of mode edge; with mode interior only."),
  interRouterPort: port("Port for routers of mode interior; with mode interior only."),
}).refine((value) => value.routerMode !== "interior" || (value.edgeRouterPort && value.interRouterPort), {
  error: "must have edgeRouterPort and interRouterPort where routerMode is interior",
}).optional().meta({ description: "The agent's router." });

const natsConfig = z.strictObject({
  natsMode: z.enum(["none", "leaf", "server"]).optional().meta({
    description: "What the agent's NATS server is to others.",
  }),
  natsServerPort: port("Port of the server."),
  natsLeafPort: port("Port for leaf nodes."),
  natsClusterPort: port("Port of the cluster; with mode server only."),
  natsMqttPort: port("Port for MQTT."),
  natsHttpPort: port("Port of the monitoring."),
  jsStorageSize: storage("Size of JetStream's file storage, such as 10g."),
  jsMemoryStoreSize: storage("Size of JetStream's memory storage, such as 1g."),
}).optional().meta({ description: "The agent's NATS server; PoT only." });

const config = z.strictObject({
  description: text("What it is."),
  location: text("Where it is, in words."),
  latitude: degrees("Latitude in degrees.", 90),
  longitude: degrees("Longitude in degrees.", 180),
  agentType: z.enum(["auto", "x86", "arm"]).optional().meta({
    description: "Architecture. Used until the agent has been provisioned and tells its own.",
  }),
  dockerUrl: text("URL of the container engine."),
  diskLimit: whole("Disk space that it may use, in GiB."),
  diskDirectory: text("Directory for its data."),
  memoryLimit: whole("Memory that it may use, in MiB."),
  cpuLimit: whole("Share of the CPU that it may use, in percent."),
  logLimit: whole("Disk space for logs, in GiB."),
  logDirectory: text("Directory for logs."),
  logFileCount: whole("Number of log files."),
  statusFrequency: whole("Seconds between two reports to the Controller."),
  changeFrequency: whole("Seconds between two looks for changes."),
  deviceScanFrequency: whole("Seconds between two scans for devices."),
  bluetoothEnabled: flag("Whether there is a Bluetooth service."),
  abstractedHardwareEnabled: flag("Whether there is a service for hardware."),
  watchdogEnabled: flag("Whether containers that are not of ioFog are stopped."),
  logLevel: text("Log level of the agent."),
  dockerPruningFrequency: whole("Hours between two removals of unused images."),
  availableDiskThreshold: whole("Percent of free disk below which unused images are removed."),
  timeZone: text("Time zone, e.g. Europe/Zurich."),
  upstreamRouters: strings("Names of the agents whose routers this one connects to, or default-router."),
  networkRouter: text("Name of the agent whose router microservices use; with routerMode none only."),
  routerConfig,
  networkInterface: text("Network interface; PoT only."),
  containerEngine: z.enum(["docker", "podman"]).optional().meta({
    description: "Container engine; PoT only.",
  }),
  deploymentType: z.enum(["native", "container"]).optional().meta({
    description: "How the agent itself runs; PoT only.",
  }),
  natsConfig,
  upstreamNatsServers: strings("NATS servers that this one connects to; PoT only."),
  gpsMode: text("Where the position comes from; PoT only."),
  gpsDevice: text("GPS device; PoT only."),
  gpsScanFrequency: whole("Seconds between two looks at the GPS device; PoT only."),
  edgeGuardFrequency: whole("Seconds between two checks of the hardware; PoT only."),
}).optional().meta({ description: "Configuration. What is left out is the agent's own business." });

const spec = z.strictObject({
  name: z.string().min(1).optional().meta({
    description:
      "Name in the Controller, which may be one that Kubernetes refuses. It cannot be changed. Left out: `metadata.name`.",
  }),
  host: text("Address at which other routers and microservices reach it. Needed unless routerMode is none."),
  tags: strings("Tags, besides those of its edge resources. Left out: whatever there are stay."),
  edgeResources: z.array(z.strictObject({
    name: z.string().meta({ description: "Name of the edge resource." }),
    version: z.string().meta({ description: "Its version." }),
  })).optional().meta({ description: "Edge resources that are linked to it. Links made elsewhere stay." }),
  config,
  provisioning: z.strictObject({
    secretName: z.string().meta({
      description:
        "Name of a Secret that gets provisioningKey, expirationTime, controllerURL and uuid while the agent is not " +
        "provisioned.",
    }),
  }).optional().meta({ description: "Asks for a key to provision the agent with. Left out: none is made." }),
  deletionPolicy: z.enum(["Delete", "Retain"]).optional().meta({
    description:
      "What becomes of the agent in the Controller when this object is deleted. Left out: it is deleted, but not while " +
      "microservices run on it that are not deleted as well.",
  }),
  ssh: cliOnly("How to reach the host by SSH."),
  package: cliOnly("Which package to install."),
  scripts: cliOnly("Scripts to install with."),
  container: cliOnly("The container of a LocalAgent."),
  controllerEndpoint: text("Only iofogctl and potctl use it: it is not used here, and a condition says so."),
  uuid: text("Filled by iofogctl and potctl; it is not used here."),
}).superRefine((value, context) => {
  if (value.host === undefined && value.config?.routerConfig?.routerMode !== "none") {
    context.addIssue({
      code: "custom",
      path: ["host"],
      message: "is required unless spec.config.routerConfig.routerMode is none",
    });
  }
}).meta({ description: "What the agent should be.", ...immutable("name") });

export type AgentSpec = z.output<typeof spec>;

/** The schema of the custom resource, for both groups. */
export const agentSchema = z.strictObject({
  spec,
  status: statusOf({
    uuid: text("Name of the agent in the Controller's API."),
    daemonStatus: text("What the Controller says of its process, e.g. RUNNING."),
    version: text("Version of the agent's software."),
    address: text("Address that it reports, or the one in the spec."),
    architecture: text("x86 or arm, once it is known."),
    provisioned: flag("Whether it ever reported to the Controller."),
    warningMessage: text("What the Controller warns of."),
    violations: strings("Limits that it exceeds."),
    microservices: whole("Number of microservices on it."),
  }),
}).meta({ description: "An edge node, as the Controller knows it." });

export const parseAgent = (raw: unknown) => checkEdgeSpec(spec, raw);
