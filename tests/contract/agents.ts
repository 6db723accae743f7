import { SimulatedAgent } from "../controller/simulated_agent.ts";
import { absent, anything, type Chapter, has, inAnyOrder, invalid, notFound } from "./step.ts";

const interior = { routerMode: "interior", interRouterPort: 55671, edgeRouterPort: 45671, host: "10.0.0.5" };

export const agents: Chapter = {
  title: "agents",
  steps: [
    { ask: "POST /iofog", body: {}, status: 400, answer: invalid("Required field 'name' is missing") },
    {
      ask: "POST /iofog",
      body: { name: "<run>" },
      status: 400,
      answer: invalid("Required field 'fogType' is missing"),
    },
    {
      ask: "POST /iofog",
      body: { name: "<run>", fogType: 3, host: "h" },
      status: 400,
      answer: invalid(/"property":"instance.fogType",.*"name":"maximum","argument":2/),
    },
    {
      ask: "POST /iofog",
      body: { name: "<run>", fogType: "1", host: "h" },
      status: 400,
      answer: invalid("Field 'fogType' is not of a type(s) integer"),
    },
    {
      ask: "POST /iofog",
      body: { name: "", fogType: 1, host: "h" },
      status: 400,
      answer: invalid("Field name does not meet minimum length of 1"),
    },
    {
      ask: "POST /iofog",
      body: { name: "<run>", fogType: 1, routerMode: "weird", host: "h" },
      status: 400,
      answer: invalid("Field routerMode is not one of enum values: none,edge,interior"),
    },
    {
      ask: "POST /iofog",
      body: { name: "<run>", fogType: 1, routerMode: "interior", host: "h" },
      status: 400,
      answer: invalid(/is not any of \[subschema 0\],\[subschema 1\],\[subschema 2\]/),
    },
    {
      ask: "POST /iofog",
      body: { name: "<run>", fogType: 1, host: "h", latitude: 91 },
      status: 400,
      answer: invalid(/"property":"instance.latitude",.*"name":"maximum","argument":90/),
    },
    {
      ask: "POST /iofog",
      body: {
        ...{
          name: "<run>-edge",
          fogType: 1,
          host: "10.0.0.5",
          natsMode: "none",
          uuid: "of-my-own",
          diskLimit: 60,
        },
        ...{ latitude: 46.2, longitude: 6.1, tags: ["a", "b"], description: "first" },
      },
      status: 201,
      answer: { uuid: /^[0-9a-zA-Z-]{32,36}$/ },
      keep: { edge: "uuid" },
    },
    {
      ask: "POST /iofog",
      body: { name: "<run>-edge", fogType: 1, host: "10.0.0.9", natsMode: "none" },
      status: 400,
      answer: invalid("Duplicate name '<run>-edge'"),
    },
    {
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: {
        ...{
          uuid: "<edge>",
          name: "<run>-edge",
          fogTypeId: 1,
          host: "10.0.0.5",
          diskLimit: 60,
          memoryLimit: 4096,
        },
        ...{ routerMode: "edge", upstreamRouters: ["default-router"], edgeResources: [], isSystem: false },
        ...{
          description: "first",
          gpsMode: "manual",
          latitude: 46.2,
          lastActive: 0,
          tags: inAnyOrder("a", "b"),
        },
        ...{ ipAddress: "0.0.0.0", logLevel: "INFO", cpuLimit: 80, interRouterPort: absent },
      },
      eventually: true,
    },
    {
      only: "3.0",
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: {
        ...{ daemonStatus: "UNKNOWN", watchdogEnabled: true, dockerPruningFrequency: 1, timeZone: null },
        ...{ networkInterface: "eth0", messagingPort: 5672, userId: anything, location: null },
      },
    },
    {
      only: "3.7",
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: {
        ...{
          daemonStatus: "NOT_PROVISIONED",
          watchdogEnabled: false,
          dockerPruningFrequency: 0,
          userId: absent,
        },
        ...{ networkInterface: "dynamic", messagingPort: 5671, timeZone: "Etc/UTC", location: "" },
        ...{
          warningMessage: "HEALTHY",
          natsMode: "none",
          upstreamNatsServers: [],
          containerEngine: "docker",
        },
      },
    },
    // What 3.7 keeps for itself stands among everybody's.
    {
      only: "3.7",
      ask: "GET /secrets",
      status: 200,
      answer: { secrets: has({ name: "router-local-ca-<run>-edge" }) },
    },
    {
      only: "3.7",
      ask: "GET /volumeMounts",
      status: 200,
      answer: has({ name: "router-local-server-<run>-edge" }),
      eventually: true,
    },
    {
      only: "3.7",
      ask: "GET /application/system",
      status: 200,
      answer: {
        applications: has({
          name: "system-<run>-edge",
          isSystem: true,
          microservices: has({ name: "router" }),
        }),
      },
      eventually: true,
    },
    { only: "3.7", ask: "GET /application/system-<run>-edge", status: 404 },
    { ask: "GET /iofog/nope", status: 404, answer: notFound("Invalid ioFog UUID 'nope'") },
    {
      ask: "GET /iofog-list?filters[0][key]=name&filters[0][value]=<run>-edge&filters[0][condition]=equals",
      status: 200,
      answer: { fogs: [{ uuid: "<edge>" }] },
    },
    {
      ask: "GET /iofog-list?filters[0][key]=name&filters[0][value]=zzz&filters[0][condition]=like",
      status: 400,
      answer: invalid("Field instance[0].condition is not one of enum values: has,equals"),
    },
    { ask: "GET /iofog-list", status: 200, answer: { fogs: has({ uuid: "<edge>", name: "<run>-edge" }) } },
    {
      only: "3.7",
      ask: "GET /iofog-list?system=true",
      status: 200,
      answer: { fogs: has({ uuid: "<edge>" }) },
    },
    // Changes.
    {
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", description: "second", diskLimit: 61, unknownField: 1 },
      status: 204,
    },
    {
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: { description: "second", diskLimit: 61, memoryLimit: 4096, unknownField: absent },
    },
    {
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", description: null },
      status: 400,
      answer: invalid("Field 'description' is not of a type(s) string"),
    },
    {
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", diskLimit: -1 },
      status: 400,
      answer: invalid(/^diskLimit must (have a minimum value of|be greater than or equal to) 0$/),
    },
    {
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", latitude: 0, description: "", tags: ["b"] },
      status: 204,
    },
    { ask: "GET /iofog/<edge>", status: 200, answer: { latitude: 0, description: "", tags: ["b"] } },
    {
      ask: "PATCH /iofog/nope",
      body: { description: "x" },
      status: 404,
      answer: notFound("Invalid ioFog UUID 'nope'"),
    },
    {
      only: "3.7",
      ask: "PATCH /iofog/<edge>",
      body: { name: "<run>-renamed" },
      status: 400,
      answer: invalid("Agent Resource Name is immutable"),
    },
    { only: "3.0", ask: "PATCH /iofog/<edge>", body: { name: "<run>-renamed" }, status: 204 },
    { only: "3.0", ask: "PATCH /iofog/<edge>", body: { name: "<run>-edge" }, status: 204 },
    // Liquid.
    {
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", description: "{{ 1 | plus: 2 }} and {{ self.host }}", host: "10.0.0.5" },
      status: 204,
    },
    { ask: "GET /iofog/<edge>", status: 200, answer: { description: "3 and 10.0.0.5" } },
    { ask: "PATCH /iofog/<edge>", body: { natsMode: "none", description: "bad {{ template" }, status: 204 },
    {
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: { description: 'TokenizationError: output "{{ template" not closed, line:1, col:5' },
    },
    {
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", description: "{% raw %}{{ keep }}{% endraw %}" },
      status: 204,
    },
    { ask: "GET /iofog/<edge>", status: 200, answer: { description: "{{ keep }}" } },
    // The defect that leaves an agent behind a refusal.
    {
      only: "3.0",
      ask: "POST /iofog",
      body: { name: "<run>-orphan", fogType: 1 },
      status: 400,
      answer: invalid('"host" is required'),
    },
    {
      only: "3.0",
      ask: "GET /iofog-list",
      status: 200,
      answer: { fogs: has({ name: "<run>-orphan", routerMode: "none" }) },
    },
    {
      only: "3.7",
      ask: "POST /iofog",
      body: { name: "<run>-orphan", fogType: 1, natsMode: "none" },
      status: 201,
      keep: { orphan: "uuid" },
    },
    {
      only: "3.7",
      ask: "GET /iofog/<orphan>",
      status: 200,
      answer: {
        daemonStatus: "WARNING",
        warningMessage: 'Background orchestration error: "host" is required',
        routerMode: "none",
      },
      eventually: true,
    },
    {
      scene: "creations at once make more than one agent of a name",
      async run(conversation) {
        // Whether they meet is for the two computers to say.
        for (let round = 0; round < 5; round++) {
          const body = { name: `<run>-twin-${round}`, fogType: 1, host: "h", natsMode: "none" };
          const asked = Array.from({ length: 10 }, () => conversation.ask("POST", "/iofog", body));
          const made = (await Promise.all(asked)).filter(({ status }) => status === 201).length;
          if (made > 1) return;
        }
        throw new Error("each was made once");
      },
    },
  ],
};

export const routers: Chapter = {
  title: "routers of agents",
  steps: [
    {
      ask: "POST /iofog",
      body: { name: "<run>-hub", fogType: 1, natsMode: "none", ...interior },
      status: 201,
      keep: { hub: "uuid" },
    },
    {
      ask: "GET /iofog/<hub>",
      status: 200,
      answer: { routerMode: "interior", interRouterPort: 55671, edgeRouterPort: 45671 },
      eventually: true,
    },
    {
      ask: "PATCH /iofog/<hub>",
      body: { natsMode: "none", routerMode: "interior" },
      status: 400,
      answer: invalid(/is not any of/),
    },
    { ask: "PATCH /iofog/<edge>", body: { natsMode: "none", upstreamRouters: ["<hub>"] }, status: 204 },
    { ask: "GET /iofog/<edge>", status: 200, answer: { upstreamRouters: ["<hub>"] }, eventually: true },
    {
      only: "3.0",
      ask: "PATCH /iofog/<edge>",
      body: { upstreamRouters: ["nope"] },
      status: 404,
      answer: notFound("Invalid router 'nope'"),
    },
    {
      only: "3.0",
      ask: "PATCH /iofog/<hub>",
      body: { upstreamRouters: ["<edge>"] },
      status: 400,
      answer: invalid("Upstream router must be interior '<edge>'"),
    },
    {
      only: "3.0",
      ask: "PATCH /iofog/<hub>",
      body: { routerMode: "edge" },
      status: 400,
      answer: invalid(/^Edge router \d+ has, or will have, downstream routers$/),
    },
    {
      only: "3.0",
      ask: "POST /iofog",
      body: { name: "<run>-lost", fogType: 1, host: "h", upstreamRouters: ["nope"] },
      status: 500,
      answer: notFound("Invalid router 'nope'"),
    },
    {
      only: "3.7",
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", upstreamRouters: ["nope"] },
      status: 204,
    },
    {
      only: "3.7",
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: {
        daemonStatus: "WARNING",
        warningMessage: "Background orchestration error: Invalid router 'nope'",
        upstreamRouters: ["<hub>"],
      },
      eventually: true,
    },
    {
      only: "3.7",
      ask: "PATCH /iofog/<edge>",
      body: { natsMode: "none", upstreamRouters: ["<run>-hub"] },
      status: 204,
    },
    {
      only: "3.7",
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: { daemonStatus: "WARNING", warningMessage: "HEALTHY", upstreamRouters: ["<hub>"] },
      eventually: true,
    },
    // Who was behind it goes to the default router.
    { ask: "PATCH /iofog/<hub>", body: { natsMode: "none", routerMode: "none" }, status: 204 },
    {
      ask: "GET /iofog/<hub>",
      status: 200,
      answer: { routerMode: "none", upstreamRouters: absent },
      eventually: true,
    },
    { only: "3.0", ask: "GET /iofog/<hub>", status: 200, answer: { networkRouter: "default-router" } },
    { only: "3.7", ask: "GET /iofog/<hub>", status: 200, answer: { networkRouter: absent, routerId: null } },
    { ask: "GET /iofog/<edge>", status: 200, answer: { upstreamRouters: ["default-router"] } },
    {
      only: "3.0",
      ask: "PATCH /iofog/<hub>",
      body: { routerMode: "none", networkRouter: "default-router" },
      status: 404,
      answer: notFound("Invalid router 'default-router'"),
    },
    {
      ask: "PATCH /iofog/<hub>",
      body: { natsMode: "none", routerMode: "edge", host: "10.0.0.6" },
      status: 204,
    },
    {
      ask: "GET /iofog/<hub>",
      status: 200,
      answer: { routerMode: "edge", upstreamRouters: [] },
      eventually: true,
    },
    {
      only: "3.7",
      scene: "a change that leaves natsMode out makes an agent without NATS a leaf",
      async run(conversation) {
        await conversation.expect({ ask: "PATCH /iofog/<hub>", body: { description: "x" }, status: 204 });
        const answer = { natsMode: "leaf", natsServerPort: 4222, upstreamNatsServers: ["default-nats-hub"] };
        await conversation.expect({ ask: "GET /iofog/<hub>", status: 200, answer, eventually: true });
      },
    },
    { ask: "DELETE /iofog/<hub>", status: 202 },
    { ask: "DELETE /iofog/<hub>", status: 404, answer: notFound("Invalid ioFog UUID '<hub>'") },
  ],
};

export const provisioning: Chapter = {
  title: "provisioning and reports",
  steps: [
    {
      ask: "GET /iofog/<edge>/provisioning-key",
      status: 201,
      answer: { key: /^[0-9a-zA-Z-]{8,36}$/, expirationTime: anything },
      keep: { oldKey: "key" },
    },
    { ask: "GET /iofog/<edge>/provisioning-key", status: 201, keep: { key: "key" } },
    {
      ask: "GET /iofog/nope/provisioning-key",
      status: 404,
      answer: notFound("Invalid ioFog UUID 'nope'"),
    },
    {
      ask: "POST /agent/provision",
      body: { type: 1, key: "<oldKey>" },
      status: 404,
      answer: notFound("Invalid Provisioning Key"),
    },
    {
      ask: "POST /agent/provision",
      body: { key: "<key>" },
      status: 400,
      answer: invalid("Required field 'type' is missing"),
    },
    {
      scene: "an agent provisions itself, and reports",
      async run(conversation) {
        const { url } = conversation.subject;
        const key = conversation.fill("<key>");
        const agent = await SimulatedAgent.provision({ url, key, fetch: conversation.fetch });
        if (agent.uuid !== conversation.fill("<edge>")) throw new Error(`is ${agent.uuid}`);
        await agent.turn();
        const answer = {
          ...{
            daemonStatus: "RUNNING",
            version: "3.0.1",
            ipAddress: "10.0.0.1",
            memoryUsage: 100,
            fogTypeId: 1,
          },
          ...{ memoryViolation: "0", securityStatus: "OK" },
        };
        await conversation.expect({ ask: "GET /iofog/<edge>", status: 200, answer });
        await agent.configure({ diskLimit: 99, logLevel: "FINE" });
        const changed = { diskLimit: 99, logLevel: "FINE" };
        await conversation.expect({ ask: "GET /iofog/<edge>", status: 200, answer: changed });
        await agent.deprovision();
        const state = conversation.generation === "3.0" ? "UNKNOWN" : "DEPROVISIONED";
        const gone = { daemonStatus: state, ipAddress: "0.0.0.0", ipAddressExternal: "0.0.0.0" };
        await conversation.expect({ ask: "GET /iofog/<edge>", status: 200, answer: gone });
      },
    },
    {
      ask: "POST /agent/provision",
      body: { type: 1, key: "<key>" },
      status: 404,
      answer: notFound("Invalid Provisioning Key"),
    },
    { ask: "POST /iofog/<edge>/reboot", status: 204 },
    { ask: "POST /iofog/<edge>/prune", status: 204 },
    {
      ask: "POST /iofog/<edge>/version/rollback",
      status: 400,
      answer: invalid("Can't rollback version now. There are no backups on agent"),
    },
    {
      ask: "POST /iofog/<edge>/version/foo",
      status: 400,
      answer: invalid("Field versionCommand is not one of enum values: upgrade,rollback"),
    },
  ],
};
