/** What `export` prints, applied and adopted, changes nothing, whatever there is in the Controller. */

import { assert, assertEquals } from "@std/assert";
import { parseAll, stringify } from "@std/yaml";
import type { KubeObject } from "../../src/kubernetes/resource.ts";
import { Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { EdgeBackend } from "../../src/resources/edge/backend.ts";
import type { EdgeKind } from "../../src/resources/edge/crds.ts";
import { customResourcesOf } from "../../src/resources/edge/export.ts";
import { registerSecret } from "../secrets.ts";
import { EdgeTest } from "./edge_world.ts";

type Json = Record<string, unknown>;

/** Settings of an agent that both generations have, none of them the default. */
const settings = {
  description: "d {{ x }}",
  location: "Hall A",
  latitude: -46.2,
  longitude: 6.14,
  dockerUrl: "unix:///run/podman.sock",
  diskLimit: 51,
  diskDirectory: "/data/",
  memoryLimit: 2048,
  cpuLimit: 81,
  logLimit: 11,
  logDirectory: "/logs/",
  logFileCount: 9,
  statusFrequency: 11,
  changeFrequency: 21,
  deviceScanFrequency: 22,
  bluetoothEnabled: true,
  abstractedHardwareEnabled: true,
  watchdogEnabled: true,
  logLevel: "DEBUG",
  dockerPruningFrequency: 3,
  availableDiskThreshold: 21,
  timeZone: "Europe/Zurich",
  tags: ["one", "two"],
};
const pot = {
  networkInterface: "eth7",
  containerEngine: "podman",
  deploymentType: "container",
  edgeGuardFrequency: 5,
};
const container = {
  config: '{"a":{"b":[1,"\\u0022"]},"c":"{% raw %}{{ x }}{% endraw %}"}',
  logSize: 7,
  env: [{ key: "A", value: "1" }, { key: "DB_PASSWORD", value: "" }],
  cmd: ["--b", "--a"],
  volumeMappings: [
    { hostDestination: "/z", containerDestination: "/y", accessMode: "ro", type: "bind" },
    { hostDestination: "volume", containerDestination: "/a", accessMode: "rw", type: "volume" },
  ],
  extraHosts: [{ name: "db", address: "10.1.1.1" }, { name: "agent", address: "${Agents.hub}" }],
};
const potContainer = {
  annotations: '{"k":"v"}',
  hostNetworkMode: true,
  isPrivileged: true,
  runAsUser: "1000",
  platform: "linux/amd64",
  runtime: "runc",
  pidMode: "host",
  ipcMode: "host",
  schedule: 3,
  cpuSetCpus: "0-1",
  memoryLimit: 64,
  cdiDevices: ["a.b/c=d"],
  capAdd: ["NET_ADMIN"],
  capDrop: ["ALL"],
  healthCheck: {
    test: ["CMD", "true"],
    interval: 5,
    timeout: 2,
    startPeriod: 1,
    startInterval: 1,
    retries: 3,
  },
  natsConfig: { natsAccess: false },
};

/** Fills the Controller with something of everything, as its API has it; gives the password in it. */
async function fill(edge: EdgeTest): Promise<string> {
  const isPot = edge.group === "datasance.com";
  const { state } = edge.controller;
  const ask = (method: "POST" | "PATCH" | "PUT", route: string, bodyJson: Json) =>
    edge.client.edge.change({ method, route, bodyJson });
  const uuid = (name: string) => state.agents.find((each) => each.name === name)?.uuid ?? "";
  const nats = (natsMode: string) => isPot ? { natsMode } : {};
  const ports = { messagingPort: 5673, edgeRouterPort: 45672, interRouterPort: 55672 };
  await ask("POST", "/iofog", {
    name: "hub",
    fogType: 2,
    host: "10.0.0.1",
    routerMode: "interior",
    ...ports,
    ...nats("server"),
  });
  await ask("POST", "/iofog", {
    ...{ name: "Edge 1!", fogType: 1, host: "10.0.0.2", ...settings, ...(isPot ? pot : {}) },
    upstreamRouters: ["default-router", uuid("hub")],
    ...(isPot
      ? { natsMode: "leaf", natsServerPort: 14222, jsStorageSize: "11g", upstreamNatsServers: [uuid("hub")] }
      : {}),
  });
  await ask("POST", "/iofog", {
    name: "edge-1",
    fogType: 0,
    routerMode: "none",
    networkRouter: uuid("hub"),
    ...nats("none"),
  });
  await ask("POST", "/iofog", { name: "plain", fogType: 1, routerMode: "none", ...nats("none") });
  for (const version of ["1.0.0", "2.0.0"]) {
    await ask("POST", "/edgeResource", {
      ...{ name: "camera", version, interfaceProtocol: "https", description: "d" },
      interface: {
        endpoints: [{ name: "b", method: "GET", url: "/b", ...(isPot ? {} : { requestType: "t" }) }, {
          name: "a",
          method: "PUT",
          url: "/a",
        }],
      },
      ...{
        display: { name: "n", icon: "i", color: "#112233" },
        orchestrationTags: ["gate", "two"],
        custom: { a: [1] },
      },
    });
  }
  await ask("POST", "/edgeResource", {
    name: "bare",
    version: "v1.0.0",
    interfaceProtocol: "ws",
    interface: { endpoints: [] },
  });
  const link = { method: "POST", route: "/edgeResource/:name/:version/link" } as const;
  await edge.client.edge.change({
    ...link,
    parameters: { name: "camera", version: "2.0.0" },
    bodyJson: { uuid: uuid("Edge 1!") },
  });

  const password = registerSecret(`Pw-${crypto.randomUUID()}`);
  await ask("POST", "/application", {
    ...{ name: "app", description: "d", isActivated: true },
    ...(isPot ? { natsConfig: { natsAccess: true, natsRule: state.natsRules.account[0] } } : {}),
  });
  await ask("POST", "/application", { name: "empty" });
  const on = { application: "app", agentName: "Edge 1!", images: [{ fogTypeId: 1, containerImage: "x:1" }] };
  const [variable, secret] = container.env;
  await ask("POST", "/microservices", {
    ...{ name: "one", ...on, ...container, env: [variable, { ...secret, value: password }] },
    images: [{ fogTypeId: 1, containerImage: "x:1" }, { fogTypeId: 2, containerImage: "y:1" }],
    registryId: 2,
    ports: [{ internal: 81, external: 5081, protocol: "udp" }, {
      ...{ internal: 80, external: 5080 },
      ...(isPot ? {} : { public: { schemes: ["https"], protocol: "http" } }),
    }],
    ...(isPot ? potContainer : { rootHostAccess: true }),
  });
  await ask("POST", "/microservices", { name: "bare", ...on });
  const item = { name: "item", registryId: 1, images: [{ fogTypeId: 1, containerImage: "z:1" }] };
  await ask("POST", "/catalog/microservices", item);
  const { images: _, ...without } = on;
  await ask("POST", "/microservices", { name: "item", ...without, catalogItemId: state.catalogItems[0]?.id });
  if (isPot) {
    await ask("POST", "/secrets", { name: "login", type: "Opaque", data: { token: password } });
    await ask("POST", "/configmaps", { name: "texts", data: { a: "b" } });
    const env = [{ key: "T", valueFromSecret: "login/token" }, { key: "C", valueFromConfigMap: "texts/a" }];
    await ask("POST", "/microservices", {
      ...{ name: "kept", ...on, env, natsConfig: { natsAccess: true, natsRule: state.natsRules.user[0] } },
    });
  } else {
    await ask("POST", "/routes", { name: "way", application: "app", from: "one", to: "bare" });
    await ask("POST", "/routes", { name: "self", application: "app", from: "one", to: "one" });
  }
  return password;
}

for (const group of ["iofog.org", "datasance.com"] as const) {
  Deno.test(`what is exported for ${group} is adopted without a change, whatever there is, and shows no secret`, async () => {
    await using edge = await EdgeTest.open(group);
    const password = await fill(edge);
    const backend = edge.engine.managed.map(({ backend }) => backend).find((each) =>
      each instanceof EdgeBackend
    );
    if (!(backend instanceof EdgeBackend)) throw new Error("there is none");
    await edge.engine.store.listAll();
    const world = await backend.world(edge.engine.store.snapshot(), new AbortController().signal);
    const { notes, objects } = customResourcesOf(world, group);
    // Through YAML, as a person would.
    const text = objects.map((each) => `---\n${stringify(JSON.parse(JSON.stringify(each)))}`).join("");
    assertEquals(text.includes(password), false);
    assertEquals(notes.filter((note) => note.startsWith("Microservice")), [
      "Microservice app/one: create Secret app-one with the value of DB_PASSWORD under that key before you apply this",
    ]);
    const secret = { metadata: { namespace: "ns", name: "app-one" }, data: { DB_PASSWORD: btoa(password) } };
    edge.api.make(Secret, secret as Secret);
    const applied = parseAll(text) as (KubeObject & { readonly spec: unknown })[];
    assertEquals(applied.map(({ kind, metadata }) => `${kind} ${metadata?.name}`).toSorted(), [
      "Agent edge-1",
      "Agent edge-1-2",
      "Agent hub",
      "Agent plain",
      "Application app",
      "Application empty",
      "EdgeResource bare",
      "EdgeResource camera-1.0.0",
      "EdgeResource camera-2.0.0",
    ]);
    for (const { kind, metadata, spec } of applied) {
      edge.make(
        kind as EdgeKind,
        metadata?.name ?? "",
        spec,
        metadata?.annotations as Record<string, string>,
      );
    }
    assertEquals(await edge.converge(), []);
    assertEquals(await edge.converge(), []);
    for (const { kind, metadata } of applied) {
      const [name, of] = [metadata?.name ?? "", kind as EdgeKind];
      const said = [edge.condition(of, name), edge.condition(of, name, "Warning")].join("; ");
      assert(
        /^(True|False Starting|False ArchitectureUnknown).*; none$/.test(said),
        `${kind} ${name}: ${said}`,
      );
    }
    // It is kept from now on.
    const [one] = edge.controller.state.microservices.filter(({ name }) => name === "one");
    if (one !== undefined) one.cmd = [];
    assertEquals((await edge.converge()).length, 1);
  });
}
