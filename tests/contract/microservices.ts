import { absent, anything, type Chapter, failure, invalid, notFound } from "./step.ts";

const noName = failure("Error", 'WHERE parameter "name" has invalid "undefined" value');
const image = (containerImage: string) => [{ fogTypeId: 1, containerImage }];
const role = (name: string) => ({ roleRef: { kind: "Role", name } });
const base = { agentName: "<run>-edge", application: "<run>-demo", images: image("x") };
const refused = (body: Record<string, unknown>, status: number, answer: unknown) => ({
  ask: "POST /microservices",
  body,
  status,
  answer,
});
/** A change that is taken, and what is there after it. */
const change = (body: Record<string, unknown>, answer: Record<string, unknown>, only?: "3.0" | "3.7") => [
  {
    ...(only === undefined ? {} : { only }),
    ask: "PATCH /microservices/<m2>",
    body: { agentName: "<run>-edge", ...body },
    status: 204,
  },
  { ...(only === undefined ? {} : { only }), ask: "GET /microservices/<m2>", status: 200, answer },
];

export const microservices: Chapter = {
  title: "microservices",
  steps: [
    refused({}, 400, invalid("Required field 'name' is missing")),
    refused({ name: "m1" }, 500, noName),
    refused({ name: "m1", agentName: "<run>-edge" }, 500, failure("TypeError", "images is not iterable")),
    refused(
      { name: "m1", agentName: "<run>-edge", images: image("x") },
      500,
      failure("TypeError", "Cannot read properties of null (reading 'id')"),
    ),
    refused(
      { ...base, name: "m1", application: "<run>-no" },
      500,
      notFound("Invalid application id '<run>-no'"),
    ),
    refused({ ...base, name: "m1", agentName: "<run>-no" }, 400, invalid("Invalid ioFog UUID '<run>-no'")),
    refused(
      { ...base, name: "m1", images: [{ fogTypeId: 2, containerImage: "x" }] },
      400,
      invalid("Microservice m1 does not have a valid image for its Agent type"),
    ),
    refused({ ...base, name: "M1" }, 400, invalid("Invalid format for field 'name'")),
    refused({ ...base, name: "m1", registryId: 9999 }, 500, notFound("Invalid registry id '9999'")),
    refused(
      { ...base, name: "m1", images: [...image("x"), ...image("y"), ...image("z")] },
      400,
      invalid(/"property":"instance.images","message":"does not meet maximum length of 2"/),
    ),
    refused(
      { ...base, name: "m1", ports: [{ internal: 80, external: 54321 }] },
      400,
      invalid("Port '54321' is reserved for internal use"),
    ),
    refused(
      { ...base, name: "m1", env: [{ key: "N", value: 1 }] },
      400,
      invalid("Field 'env[0].value' is not of a type(s) string"),
    ),
    refused(
      {
        ...base,
        name: "m1",
        volumeMappings: [{
          hostDestination: "/a",
          containerDestination: "/x",
          accessMode: "rw",
          type: "volume",
        }],
      },
      500,
      failure("InvalidArgumentError", /^hostDestination includes invalid characters for a local volume name/),
    ),
    // A router's port is taken, although no list shows who has it.
    {
      only: "3.0",
      ...refused(
        { ...base, name: "m1", ports: [{ internal: 80, external: 5672 }] },
        400,
        invalid("Port '5672' is not available"),
      ),
    },
    {
      only: "3.7",
      ...refused(
        { ...base, name: "m1", ports: [{ internal: 80, external: 5671 }] },
        400,
        invalid("Port '5671' is not available"),
      ),
    },
    // The creation that fails halfway.
    {
      only: "3.0",
      ...refused(
        { ...base, name: "m1", ports: [{ internal: 80, external: 5001 }, { internal: 80, external: 5002 }] },
        400,
        invalid("Port mapping already exists"),
      ),
    },
    {
      only: "3.7",
      ask: "POST /microservices",
      body: {
        ...base,
        name: "m1",
        ports: [{ internal: 81, external: 5001 }, { internal: 82, external: 5001 }],
      },
      status: 201,
    },
    {
      only: "3.0",
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: { microservices: [{ name: "m1", ports: [{ internal: 80, external: 5001 }], status: absent }] },
    },
    refused(
      { ...base, name: "m2", ports: [{ internal: 80, external: 5001 }] },
      400,
      invalid("Port '5001' is not available"),
    ),
    refused({ ...base, name: "m1" }, 500, failure("DuplicatePropertyError", "Duplicate name 'm1'")),
    {
      ask: "POST /microservices",
      body: { ...base, name: "m2", env: [{ key: "A", value: "1" }], config: '{"x": "y"}', uuid: "own" },
      status: 201,
      answer: { uuid: /^[0-9a-zA-Z-]{32,36}$/, name: "m2" },
      keep: { m2: "uuid" },
    },
    { ask: "POST /microservices", body: { ...base, name: "m3" }, status: 201, keep: { m3: "uuid" } },
    {
      ask: "GET /microservices/<m2>",
      status: 200,
      answer: {
        ...{ uuid: "<m2>", name: "m2", config: '{"x": "y"}', logSize: 1, iofogUuid: "<edge>", ports: [] },
        ...{ application: "<run>-demo", flowId: anything, rebuild: absent, images: image("x"), cmd: [] },
        ...{
          env: [{ key: "A", value: "1" }],
          status: { status: "QUEUED" },
          volumeMappings: [],
          extraHosts: [],
        },
      },
    },
    {
      only: "3.0",
      ask: "GET /microservices/<m2>",
      status: 200,
      answer: { rootHostAccess: false, routes: [] },
    },
    {
      only: "3.7",
      ask: "GET /microservices/<m2>",
      status: 200,
      answer: {
        ...{ rootHostAccess: absent, hostNetworkMode: false, isPrivileged: false, schedule: 50, capAdd: [] },
        ...{ memoryLimit: null, annotations: "{}", natsConfig: { natsAccess: false }, isActivated: true },
      },
    },
    {
      ask: "GET /microservices?application=<run>-demo",
      status: 200,
      answer: { microservices: [{ name: "m1" }, { name: "m2" }, { name: "m3" }] },
    },
    {
      ask: "GET /microservices?application=<run>-no",
      status: 500,
      answer: notFound("Invalid application id '<run>-no'"),
    },
    {
      ask: "GET /microservices/nope",
      status: 404,
      answer: notFound("Invalid microservice user or UUID"),
    },
    // Changes.
    { ask: "PATCH /microservices/<m2>", body: { config: '{"x":2}' }, status: 500, answer: noName },
    ...change({ config: '{"x":2}' }, { config: '{"x":2}', env: [{ key: "A" }] }),
    ...change({ logSize: 33 }, { logSize: 33 }),
    ...change({ cmd: ["z", "y"] }, { cmd: ["z", "y"], logSize: 1 }),
    ...change({ env: [] }, { env: [], cmd: ["z", "y"] }),
    ...change({ rootHostAccess: true }, { rootHostAccess: true }, "3.0"),
    ...change({ memoryLimit: 64, capAdd: ["NET_ADMIN"] }, { memoryLimit: 64, capAdd: ["NET_ADMIN"] }, "3.7"),
    ...change(
      { healthCheck: { test: ["CMD", "true"], interval: 5 } },
      { healthCheck: { test: ["CMD", "true"], interval: 5 } },
      "3.7",
    ),
    // Each change that names no role takes it away.
    ...change({ serviceAccount: role("sre") }, { serviceAccount: role("sre") }, "3.7"),
    ...change({}, { serviceAccount: role("microservice") }, "3.7"),
    {
      only: "3.7",
      ask: "PATCH /microservices/<m2>",
      body: { agentName: "<run>-edge", serviceAccount: role("nope") },
      status: 400,
      answer: invalid("Referenced role 'nope' does not exist"),
    },
    ...change({ images: image("x:2") }, { images: image("x:2") }),
    {
      ask: "PATCH /microservices/<m2>",
      body: { agentName: "<run>-edge", images: [] },
      status: 400,
      answer: invalid(/does not meet minimum length of 1/),
    },
    ...change(
      { ports: [{ internal: 80, external: 5003 }, { internal: 81, external: 5004, protocol: "udp" }] },
      { ports: [{ external: 5003, protocol: "tcp" }, { external: 5004, protocol: "udp" }] },
    ),
    // One by one: the list is cut off where it failed.
    {
      ask: "PATCH /microservices/<m2>",
      body: {
        agentName: "<run>-edge",
        ports: [{ internal: 80, external: 5003 }, { internal: 81, external: 5001 }],
      },
      status: 400,
      answer: invalid("Port '5001' is not available"),
    },
    { ask: "GET /microservices/<m2>", status: 200, answer: { ports: [{ internal: 80, external: 5003 }] } },
    ...change(
      {
        volumeMappings: [{
          hostDestination: "v",
          containerDestination: "/d",
          accessMode: "rw",
          type: "volume",
        }],
      },
      { volumeMappings: [{ hostDestination: "v", type: "volume" }] },
    ),
    ...change(
      { extraHosts: [{ name: "a", address: "1.2.3.4" }, { name: "b", address: "${Agents.<run>-edge}" }] },
      { extraHosts: [{ value: "1.2.3.4" }, { address: "${Agents.<run>-edge}", value: "10.0.0.5" }] },
    ),
    ...change(
      { extraHosts: [{ name: "c", address: "${Apps.<run>-demo.m3.local}" }] },
      { extraHosts: [{ address: "${Apps.<run>-demo.m3.local}", value: "10.0.0.5" }] },
      "3.0",
    ),
    ...change(
      { extraHosts: [{ name: "c", address: "${Apps.<run>-demo.m3.local}" }] },
      { extraHosts: [{ value: "iofog_<m3>" }] },
      "3.7",
    ),
    {
      ask: "PATCH /microservices/<m2>",
      body: { agentName: "<run>-edge", extraHosts: [{ name: "b", address: "${Agents.nope}" }] },
      status: 400,
      answer: invalid("Could not find nope host template"),
    },
    ...change({ config: '{"q":"he said \\"hi\\""}' }, { config: '{"q":"he said "hi""}' }),
    ...change({ config: '{"q":"he said \\u0022hi\\u0022"}' }, { config: '{"q":"he said \\u0022hi\\u0022"}' }),
    ...change({ config: "" }, { config: '{"q":"he said \\u0022hi\\u0022"}' }),
    ...change({ config: "not json" }, { config: "not json" }),
    {
      ask: "PATCH /microservices/<m2>",
      body: { agentName: "<run>-edge", registryId: 9999 },
      status: 404,
      answer: notFound("Invalid registry id '9999'"),
    },
    {
      ask: "PATCH /microservices/nope",
      body: { agentName: "<run>-edge" },
      status: 404,
      answer: notFound("Invalid microservice UUID 'nope'"),
    },
    // An agent that is not there is not looked for; one that is there gets it.
    { ask: "PATCH /microservices/<m2>", body: { agentName: "<run>-no", config: "{}" }, status: 204 },
    { ask: "GET /microservices/<m2>", status: 200, answer: { config: "{}", iofogUuid: "<edge>" } },
    {
      ask: "POST /iofog",
      body: { name: "<run>-other", fogType: 1, host: "10.0.0.7", natsMode: "none" },
      status: 201,
      keep: { other: "uuid" },
    },
    ...change({ agentName: "<run>-other" }, { iofogUuid: "<other>", ports: [{ external: 5003 }] }),
    ...change({}, { iofogUuid: "<edge>" }),
    {
      only: "3.0",
      ask: "PATCH /microservices/<m2>",
      body: { agentName: "<run>-edge", name: "m3" },
      status: 500,
      answer: failure("DuplicatePropertyError", "Duplicate name 'm3'"),
    },
    {
      only: "3.7",
      ask: "PATCH /microservices/<m2>",
      body: { agentName: "<run>-edge", name: "m3" },
      status: 400,
      answer: invalid("Microservice Resource Name is immutable"),
    },
    // Ports and volumes one at a time.
    {
      ask: "GET /microservices/<m2>/port-mapping",
      status: 200,
      answer: { ports: [{ internal: 80, external: 5003, protocol: "tcp" }] },
    },
    {
      ask: "POST /microservices/<m2>/port-mapping",
      body: { internal: 90, external: 5010, protocol: "udp" },
      status: 201,
    },
    {
      ask: "POST /microservices/<m2>/port-mapping",
      body: { internal: 91, external: 5010 },
      status: 400,
      answer: invalid("Port '5010' is not available"),
    },
    {
      ask: "POST /microservices/<m2>/port-mapping",
      body: { internal: 91 },
      status: 400,
      answer: invalid("Required field 'external' is missing"),
    },
    { ask: "DELETE /microservices/<m2>/port-mapping/90", status: 204 },
    {
      ask: "DELETE /microservices/<m2>/port-mapping/90",
      status: 404,
      answer: notFound("port mapping not exists"),
    },
    {
      only: "3.0",
      ask: "POST /microservices/<m2>/port-mapping",
      body: { internal: 8082, external: 5022, public: { schemes: ["tcp"], protocol: "http" } },
      status: 400,
      answer: invalid("Public port 8082 has a scheme of tcp and cannot use protocol http"),
    },
    {
      only: "3.0",
      ask: "POST /microservices/<m2>/port-mapping",
      body: { internal: 8080, external: 5020, public: { schemes: ["https"], protocol: "http" } },
      status: 201,
    },
    {
      only: "3.0",
      ask: "GET /microservices/<m2>/port-mapping",
      status: 200,
      answer: {
        ports: [
          { internal: 80, public: absent },
          {
            internal: 8080,
            external: 5020,
            public: {
              ...{ links: [/^https:\/\/.*:\d+$/], protocol: "http", schemes: ["https"], enabled: true },
              router: { port: anything, host: "default-router" },
            },
          },
        ],
      },
    },
    { only: "3.0", ask: "DELETE /microservices/<m2>/port-mapping/8080", status: 204 },
    {
      ask: "POST /microservices/<m2>/volume-mapping",
      body: { hostDestination: "/h", containerDestination: "/c", accessMode: "ro" },
      status: 201,
      answer: { id: anything },
      keep: { volume: "id" },
    },
    {
      ask: "POST /microservices/<m2>/volume-mapping",
      body: { hostDestination: "/h", containerDestination: "/c", accessMode: "ro" },
      status: 400,
      answer: invalid("Volume mapping already exists"),
    },
    {
      ask: "DELETE /microservices/<m2>/volume-mapping/999999",
      status: 400,
      answer: invalid("Invalid volume mapping id '999999'"),
    },
    // An agent whose architecture is not known yet gets none.
    {
      ask: "POST /iofog",
      body: { name: "<run>-auto", fogType: 0, host: "h", natsMode: "none" },
      status: 201,
      keep: { auto: "uuid" },
    },
    refused(
      { ...base, name: "onauto", agentName: "<run>-auto" },
      400,
      invalid("Microservice onauto does not have a valid image for its Agent type"),
    ),
    { only: "3.7", ask: "PATCH /microservices/<m2>/rebuild", status: 204 },
    { only: "3.7", ask: "PATCH /microservices/<m2>/stop", status: 204 },
    { only: "3.7", ask: "GET /microservices/<m2>", status: 200, answer: { isActivated: false } },
    { only: "3.7", ask: "PATCH /microservices/<m2>/start", status: 204 },
  ],
};

const pair = { application: "<run>-demo", from: "m2", to: "m3" };
const dump = invalid(/is not exactly one from \[subschema 0\],\[subschema 1\]/);

export const routes: Chapter = {
  title: "routes",
  steps: [
    { only: "3.7", ask: "GET /routes", status: 404 },
    { only: "3.0", ask: "POST /routes", body: {}, status: 400, answer: dump },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { name: "r1", from: "m2", to: "m3" },
      status: 500,
      answer: noName,
    },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { ...pair, name: "r1", to: "nope" },
      status: 404,
      answer: notFound("Invalid destination microservice name 'nope'"),
    },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { ...pair, name: "r1", application: "<run>-no" },
      status: 404,
      answer: notFound("Invalid application id '<run>-no'"),
    },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { ...pair, name: "R1" },
      status: 400,
      answer: invalid("Invalid format for field 'name'"),
    },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { ...pair, name: "r1" },
      status: 200,
      answer: {
        ...{ name: "r1", sourceMicroserviceUuid: "<m2>", destMicroserviceUuid: "<m3>", id: anything },
        ...{ isNetworkConnection: false, applicationId: anything },
      },
    },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { ...pair, name: "r2" },
      status: 400,
      answer: failure("DuplicatePropertyError", "route already exists"),
    },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { ...pair, name: "r1", from: "m3", to: "m2" },
      status: 500,
      answer: failure("SequelizeUniqueConstraintError", "Validation error"),
    },
    {
      only: "3.0",
      ask: "POST /routes",
      body: { name: "r3", sourceMicroserviceUuid: "<m3>", destMicroserviceUuid: "<m2>" },
      status: 200,
    },
    { only: "3.0", ask: "POST /routes", body: { ...pair, name: "self", to: "m2" }, status: 200 },
    {
      only: "3.0",
      ask: "GET /routes/<run>-demo/r1",
      status: 200,
      answer: { ...pair, name: "r1", sourceMicroserviceUuid: "<m2>", destMicroserviceUuid: "<m3>" },
    },
    {
      only: "3.0",
      ask: "GET /routes/<run>-demo/nope",
      status: 404,
      answer: notFound("Invalid route name 'nope'"),
    },
    {
      only: "3.0",
      ask: "GET /routes/<run>-no/r1",
      status: 404,
      answer: notFound("Invalid application name '<run>-no'"),
    },
    { only: "3.0", ask: "PATCH /routes/<run>-demo/r1", body: { name: "r1" }, status: 400, answer: dump },
    {
      only: "3.0",
      ask: "PATCH /routes/<run>-demo/r1",
      body: { from: "m2", to: "m3" },
      status: 400,
      answer: dump,
    },
    { only: "3.0", ask: "PATCH /routes/<run>-demo/r1", body: { ...pair, from: "m3", to: "m3" }, status: 204 },
    { only: "3.0", ask: "GET /routes/<run>-demo/r1", status: 200, answer: { from: "m3", to: "m3" } },
    {
      only: "3.0",
      ask: "PATCH /routes/<run>-demo/r1",
      body: { ...pair, name: "r3" },
      status: 500,
      answer: failure("SequelizeUniqueConstraintError", "Validation error"),
    },
    { only: "3.0", ask: "PATCH /routes/<run>-demo/r1", body: { ...pair, name: "renamed" }, status: 204 },
    { only: "3.0", ask: "DELETE /routes/<run>-demo/renamed", status: 204 },
    {
      only: "3.0",
      ask: "DELETE /routes/<run>-demo/renamed",
      status: 404,
      answer: notFound("Route not found"),
    },
    {
      only: "3.0",
      ask: "POST /microservices/<m2>/routes/<m3>",
      status: 201,
      answer: { name: "r-m2-m3" },
    },
    { only: "3.0", ask: "GET /microservices/<m2>", status: 200, answer: { routes: anything } },
    { only: "3.0", ask: "DELETE /microservices/<m2>/routes/<m3>", status: 204 },
    // A microservice that goes takes its routes along.
    { ask: "DELETE /microservices/<m2>", status: 204 },
    {
      ask: "DELETE /microservices/<m2>",
      status: 404,
      answer: notFound("Invalid microservice UUID '<m2>'"),
    },
    { only: "3.0", ask: "GET /application/<run>-demo", status: 200, answer: { routes: [] } },
  ],
};
