import { absent, anything, type Chapter, failure, has, invalid, notFound } from "./step.ts";

const image = (containerImage: string) => [{ fogTypeId: 1, containerImage }];
const microservice = (name: string, more: Record<string, unknown> = {}) => ({
  name,
  agentName: "<run>-edge",
  images: image("x:1"),
  ...more,
});

export const applications: Chapter = {
  title: "applications",
  steps: [
    { ask: "POST /application", body: {}, status: 400, answer: invalid("Required field 'name' is missing") },
    {
      ask: "POST /application",
      body: { name: "Bad_Name" },
      status: 400,
      answer: invalid("Invalid format for field 'name'"),
    },
    {
      ask: "POST /application",
      body: { name: "{{ x }}" },
      status: 400,
      answer: invalid("Required field 'name' is missing"),
    },
    { ask: "POST /application", body: { name: "<run>-app" }, status: 201, answer: { name: "<run>-app" } },
    {
      ask: "POST /application",
      body: { name: "<run>-app" },
      status: 500,
      answer: failure("DuplicatePropertyError", "Duplicate name '<run>-app'"),
    },
    {
      ask: "GET /application/<run>-app",
      status: 200,
      answer: { name: "<run>-app", description: "", isActivated: false, isSystem: false, microservices: [] },
    },
    { only: "3.0", ask: "GET /application/<run>-app", status: 200, answer: { routes: [], userId: anything } },
    {
      only: "3.7",
      ask: "GET /application/<run>-app",
      status: 200,
      answer: { routes: absent, userId: absent, natsConfig: { natsAccess: false, natsRule: null } },
    },
    {
      ask: "GET /application/<run>-nope",
      status: 404,
      answer: notFound("Invalid application id '<run>-nope'"),
    },
    { ask: "PATCH /application/<run>-app", body: { description: "d1" }, status: 204 },
    { ask: "PATCH /application/<run>-app", body: { isActivated: true }, status: 204 },
    {
      ask: "PATCH /application/<run>-app",
      body: { isActivated: "true" },
      status: 400,
      answer: invalid("Field 'isActivated' is not of a type(s) boolean"),
    },
    {
      ask: "PATCH /application/<run>-nope",
      body: { isActivated: true },
      status: 404,
      answer: notFound("Invalid application id '{}'"),
    },
    { ask: "PUT /application/<run>-app", body: { description: "d2" }, status: 204 },
    { ask: "GET /application/<run>-app", status: 200, answer: { description: "d2", isActivated: true } },
    {
      ask: "PUT /application/<run>-nope",
      body: { description: "d2" },
      status: 404,
      answer: notFound("Invalid application id '<run>-nope'"),
    },
    { only: "3.0", ask: "DELETE /application/<run>-nope", status: 204 },
    {
      only: "3.7",
      ask: "DELETE /application/<run>-nope",
      status: 500,
      answer: failure("TypeError", "Cannot read properties of null (reading 'isSystem')"),
    },
    { only: "3.0", ask: "PATCH /application/<run>-app", body: { name: "<run>-appx" }, status: 204 },
    { only: "3.0", ask: "PATCH /application/<run>-appx", body: { name: "<run>-app" }, status: 204 },
    {
      only: "3.7",
      ask: "PATCH /application/<run>-app",
      body: { name: "<run>-appx" },
      status: 400,
      answer: invalid("Application Resource Name is immutable"),
    },
    { ask: "DELETE /application/<run>-app", status: 204 },
    {
      ask: "POST /application",
      body: {
        ...{ name: "<run>-demo", description: "demo app", isActivated: true },
        microservices: [
          microservice("sensor", {
            env: [{ key: "LOG", value: "debug" }],
            cmd: ["--a", "b"],
            config: '{"test":true}',
          }),
          microservice("viewer", {
            ports: [{ internal: 80, external: 5000 }],
            volumeMappings: [{ hostDestination: "/h", containerDestination: "/c", accessMode: "rw" }],
            extraHosts: [{ name: "db", address: "10.1.1.1" }, {
              name: "agent",
              address: "${Agents.<run>-edge}",
            }],
          }),
        ],
        routes: [{ name: "s-to-v", from: "sensor", to: "viewer" }],
      },
      status: 201,
    },
    {
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: {
        isActivated: true,
        microservices: [
          {
            ...{ name: "sensor", iofogUuid: "<edge>", config: '{"test":true}', logSize: 1, rebuild: true },
            ...{ images: image("x:1"), env: [{ key: "LOG", value: "debug" }], cmd: ["--a", "b"], ports: [] },
            ...{ status: { status: "QUEUED", percentage: 0, errorMessage: "" }, application: "<run>-demo" },
            ...{ registryId: 1, catalogItemId: null, delete: false },
          },
          {
            ...{ name: "viewer", ports: [{ internal: 80, external: 5000, protocol: "tcp" }] },
            volumeMappings: [
              {
                hostDestination: "/h",
                containerDestination: "/c",
                accessMode: "rw",
                type: "bind",
                id: anything,
              },
            ],
            extraHosts: [
              { name: "db", address: "10.1.1.1", value: "10.1.1.1" },
              { name: "agent", address: "${Agents.<run>-edge}", value: "10.0.0.5" },
            ],
          },
        ],
      },
    },
    {
      only: "3.0",
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: { routes: [{ name: "s-to-v", from: "sensor", to: "viewer" }] },
    },
    {
      ask: "GET /application",
      status: 200,
      answer: {
        applications: has({ name: "<run>-demo", microservices: [{ name: "sensor" }, { name: "viewer" }] }),
      },
    },
    // PUT: what is not listed goes, what is listed is patched, and what fails stays half done.
    {
      ask: "PUT /application/<run>-demo",
      body: {
        microservices: [
          microservice("sensor", { images: image("x:2"), logSize: 20 }),
          microservice("viewer"),
        ],
      },
      status: 204,
    },
    {
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: {
        microservices: [
          { images: image("x:2"), logSize: 20, env: [{ key: "LOG" }], config: '{"test":true}' },
          { ports: [{ external: 5000 }] },
        ],
      },
    },
    {
      only: "3.0",
      ask: "PUT /application/<run>-demo",
      body: {
        microservices: [microservice("sensor", { images: image("x:3") }), microservice("viewer")],
        routes: [],
      },
      status: 404,
      answer: notFound("Invalid application name 's-to-v'"),
    },
    {
      only: "3.0",
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: { microservices: [{ images: image("x:3"), logSize: 1 }, {}], routes: [{ name: "s-to-v" }] },
    },
    {
      only: "3.0",
      ask: "PUT /application/<run>-demo",
      body: {
        routes: [{ name: "s-to-v", from: "viewer", to: "viewer" }, {
          name: "v-to-s",
          from: "viewer",
          to: "sensor",
        }],
      },
      status: 204,
    },
    {
      only: "3.0",
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: { routes: has({ name: "s-to-v", from: "viewer", to: "viewer" }, { name: "v-to-s" }) },
    },
    {
      ask: "PUT /application/<run>-demo",
      body: { microservices: [microservice("sensor"), { ...microservice("ko"), agentName: "missing" }] },
      status: 400,
      answer: invalid("Invalid ioFog UUID 'missing'"),
    },
    {
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: { microservices: [{ name: "sensor", images: image("x:1") }] },
    },
    // Ports cannot be exchanged.
    {
      ask: "PUT /application/<run>-demo",
      body: {
        microservices: [
          microservice("a", { ports: [{ internal: 80, external: 5501 }] }),
          microservice("b", { ports: [{ internal: 80, external: 5502 }] }),
        ],
      },
      status: 204,
    },
    {
      ask: "PUT /application/<run>-demo",
      body: {
        microservices: [
          microservice("a", { ports: [{ internal: 80, external: 5502 }] }),
          microservice("b", { ports: [{ internal: 80, external: 5501 }] }),
        ],
      },
      status: 400,
      answer: invalid("Port '5502' is not available"),
    },
    {
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: { microservices: [{ name: "a", ports: [] }, { name: "b", ports: [{ external: 5502 }] }] },
    },
    // What is rendered, and what is not.
    {
      ask: "PUT /application/<run>-demo",
      body: {
        microservices: [
          microservice("t", {
            env: [
              { key: "AGENT", value: '{{ "<run>-edge" | findAgent | map: "host" | join: "," }}' },
              { key: "BAD", value: "{{ oops" },
              { key: "PERCENT", value: "100{%" },
              { key: "DOLLAR", value: "${HOME}" },
              { key: "NUMBER", value: "{{ 5 | toString }}" },
              { key: "RAW", value: "{% raw %}{{ x }}{% endraw %}" },
            ],
          }),
        ],
      },
      status: 204,
    },
    {
      ask: "GET /application/<run>-demo",
      status: 200,
      answer: {
        microservices: [{
          env: [
            { key: "AGENT", value: "10.0.0.5" },
            { key: "BAD", value: /^TokenizationError/ },
            { key: "PERCENT", value: /^TokenizationError/ },
            { key: "DOLLAR", value: "${HOME}" },
            { key: "NUMBER", value: "5" },
            { key: "RAW", value: "{{ x }}" },
          ],
        }],
      },
    },
    {
      ask: "PUT /application/<run>-demo",
      body: { microservices: [microservice("t", { env: [{ key: "N", value: "{{ 5 }}" }] })] },
      status: 400,
      answer: invalid("Field 'microservices[0].env[0].value' is not of a type(s) string"),
    },
    { ask: "PUT /application/<run>-demo", body: { microservices: [], routes: [] }, status: 204 },
    { ask: "GET /application/<run>-demo", status: 200, answer: { microservices: [] } },
    // A creation that fails is undone.
    {
      ask: "POST /application",
      body: {
        name: "<run>-rb",
        microservices: [microservice("ok"), { ...microservice("ko"), agentName: "missing" }],
      },
      status: 400,
      answer: invalid("Invalid ioFog UUID 'missing'"),
    },
    { ask: "GET /application/<run>-rb", status: 404 },
    {
      only: "3.0",
      ask: "POST /application",
      body: {
        name: "<run>-rb",
        microservices: [microservice("m")],
        routes: [{ name: "r", from: "m", to: "zzz" }],
      },
      status: 500,
      answer: notFound("Invalid destination microservice name 'zzz'"),
    },
    { only: "3.0", ask: "GET /application/<run>-rb", status: 404 },
    {
      scene: "creations at once make many applications of a name on 3.0, one on 3.7",
      async run(conversation) {
        let most = 0;
        for (let round = 0; round < 5 && most < 2; round++) {
          const body = { name: `<run>-twin-${round}` };
          const asked = Array.from({ length: 10 }, () => conversation.ask("POST", "/application", body));
          const made = (await Promise.all(asked)).filter(({ status }) => status === 201).length;
          if (made === 0) throw new Error("none was made");
          most = Math.max(most, made);
        }
        if ((most > 1) !== (conversation.generation === "3.0")) throw new Error(`made ${most}`);
      },
    },
    { ask: "DELETE /application/<run>-twin-0", status: 204 },
    { ask: "GET /application/<run>-twin-0", status: 404 },
  ],
};
