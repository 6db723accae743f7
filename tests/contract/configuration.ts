import { absent, anything, type Chapter, failure, has, invalid, notFound } from "./step.ts";

const only = "3.7";
const opaque = { type: "Opaque", data: { k: "value-one" } };
const oneOf = invalid(/is not exactly one from \[subschema 0\],\[subschema 1\]/);
const variables = [
  { key: "A", valueFromSecret: "<run>-s/k" },
  { key: "B", valueFromConfigMap: "<run>-c/a" },
];

export const configuration: Chapter = {
  title: "secrets, config maps and volume mounts",
  steps: [
    {
      only,
      ask: "POST /secrets",
      body: { name: "<run>-s", ...opaque },
      status: 201,
      answer: { type: "Opaque" },
    },
    {
      only,
      ask: "POST /secrets",
      body: { name: "<run>-s", ...opaque },
      status: 500,
      answer: failure("ConflictError", 'Secret with name "<run>-s" already exists'),
    },
    {
      only,
      ask: "POST /secrets",
      body: { name: "<run>-x", type: "Opaque" },
      status: 400,
      answer: invalid("Required field 'data' is missing"),
    },
    {
      only,
      ask: "POST /secrets",
      body: { name: "<run>-x", ...opaque, more: 1 },
      status: 400,
      answer: invalid("Field 'more' not allowed"),
    },
    {
      only,
      ask: "GET /secrets",
      status: 200,
      answer: { secrets: has({ name: "<run>-s", type: "Opaque", data: absent }) },
    },
    { only, ask: "GET /secrets/<run>-s", status: 200, answer: { data: { k: "value-one" } } },
    {
      only,
      ask: "GET /secrets/<run>-no",
      status: 404,
      answer: notFound('Secret with name "<run>-no" not found'),
    },
    {
      only,
      ask: "PATCH /secrets/<run>-s",
      body: { data: { k: "v2" } },
      status: 400,
      answer: invalid(
        "Secret type mismatch. Secret <run>-s is of type Opaque but trying to update with type undefined",
      ),
    },
    { only, ask: "POST /configmaps", body: { name: "<run>-c", data: { a: "b" } }, status: 201 },
    {
      only,
      ask: "POST /configmaps",
      body: { name: "<run>-c", data: { a: "b" } },
      status: 500,
      answer: failure("ConflictError", "ConfigMap with name <run>-c already exists"),
    },
    { only, ask: "GET /configmaps/<run>-c", status: 200, answer: { data: { a: "b" }, immutable: false } },
    {
      only,
      ask: "GET /configmaps",
      status: 200,
      answer: { configMaps: has({ name: "<run>-c", useVault: true, data: absent }) },
    },
    {
      only,
      ask: "PATCH /configmaps/<run>-c",
      body: { data: { a: "c" } },
      status: 500,
      answer: failure("SequelizeValidationError", "notNull Violation: ConfigMap.immutable cannot be null"),
    },
    // In environments: read once, shown in the clear, and read again when they change.
    {
      only,
      ask: "POST /microservices",
      body: {
        ...{ name: "secretive", agentName: "<run>-edge", application: "<run>-demo", env: variables },
        images: [{ fogTypeId: 1, containerImage: "x" }],
      },
      status: 201,
      keep: { secretive: "uuid" },
    },
    {
      only,
      ask: "GET /microservices/<secretive>",
      status: 200,
      answer: {
        env: [
          { key: "A", value: "value-one", valueFromSecret: "<run>-s/k", valueFromConfigMap: null },
          { key: "B", value: "b", valueFromConfigMap: "<run>-c/a", valueFromSecret: null },
        ],
      },
    },
    { only, ask: "PATCH /secrets/<run>-s", body: { ...opaque, data: { k: "value-two" } }, status: 200 },
    { only, ask: "PATCH /configmaps/<run>-c", body: { immutable: false, data: { a: "c" } }, status: 200 },
    {
      only,
      ask: "GET /microservices/<secretive>",
      status: 200,
      answer: { env: [{ value: "value-two" }, { value: "c" }] },
    },
    {
      only,
      ask: "PATCH /microservices/<secretive>",
      body: { agentName: "<run>-edge", env: [{ key: "A", valueFromSecret: "<run>-no/k" }] },
      status: 404,
      answer: notFound('Secret with name "<run>-no" not found'),
    },
    { only, ask: "GET /microservices/<secretive>", status: 200, answer: { env: [] } },
    {
      only,
      ask: "PATCH /microservices/<secretive>",
      body: { agentName: "<run>-edge", env: [{ key: "A", valueFromSecret: "<run>-s/no" }] },
      status: 400,
      answer: invalid("Secret key no not found in secret <run>-s"),
    },
    {
      only,
      ask: "PATCH /microservices/<secretive>",
      body: { agentName: "<run>-edge", env: [{ key: "A", value: "x", valueFromSecret: "<run>-s/k" }] },
      status: 400,
      answer: invalid(/is not exactly one from/),
    },
    // Mounts.
    { only, ask: "POST /volumeMounts", body: { name: "<run>-v" }, status: 400, answer: oneOf },
    {
      only,
      ask: "POST /volumeMounts",
      body: { name: "<run>-v", secretName: "<run>-s", configMapName: "<run>-c" },
      status: 400,
      answer: oneOf,
    },
    {
      only,
      ask: "POST /volumeMounts",
      body: { name: "<run>-v", secretName: "<run>-no" },
      status: 500,
      answer: notFound('Secret with name "<run>-no" not found'),
    },
    {
      only,
      ask: "POST /volumeMounts",
      body: { name: "<run>-v", secretName: "<run>-s" },
      status: 200,
      answer: { uuid: anything, version: 1, name: "<run>-v", secretName: "<run>-s" },
    },
    {
      only,
      ask: "POST /volumeMounts",
      body: { name: "<run>-v", secretName: "<run>-s" },
      status: 400,
      answer: invalid("Duplicate name '<run>-v'"),
    },
    { only, ask: "GET /volumeMounts", status: 200, answer: has({ name: "<run>-v", configMapName: null }) },
    {
      only,
      ask: "PATCH /volumeMounts/<run>-v",
      body: { configMapName: "<run>-c" },
      status: 200,
      answer: { configMapName: "<run>-c", secretName: "<run>-s", version: 2 },
    },
    { only, ask: "POST /volumeMounts/<run>-v/link", body: { fogUuids: ["<edge>"] }, status: 200 },
    {
      only,
      ask: "POST /volumeMounts/<run>-v/link",
      body: { fogUuids: ["nope"] },
      status: 500,
      answer: notFound("Could not find agent nope"),
    },
    { only, ask: "GET /volumeMounts/<run>-v/link", status: 200, answer: { fogUuids: ["<edge>"] } },
    {
      only,
      ask: "GET /iofog/<edge>",
      status: 200,
      answer: { volumeMounts: has({ name: "<run>-v", version: 2 }) },
    },
    { only, ask: "PATCH /secrets/<run>-s", body: { ...opaque, data: { k: "value-three" } }, status: 200 },
    { only, ask: "GET /volumeMounts/<run>-v", status: 200, answer: { version: 3 } },
    { only, ask: "DELETE /volumeMounts/<run>-v/link", body: { fogUuids: ["<edge>"] }, status: 200 },
    { only, ask: "DELETE /secrets/<run>-s", status: 200 },
    {
      only,
      ask: "GET /volumeMounts/<run>-v",
      status: 404,
      answer: notFound("Volume mount with name <run>-v not found"),
    },
    { only, ask: "DELETE /secrets/<run>-s", status: 404 },
    { only, ask: "DELETE /configmaps/<run>-c", status: 200 },
    { only, ask: "DELETE /microservices/<secretive>", status: 204 },
    // Access to NATS.
    {
      only,
      ask: "POST /application",
      body: { name: "<run>-nats", natsConfig: { natsAccess: true, natsRule: "nope" } },
      status: 400,
      answer: invalid("NATS account rule nope does not exist"),
    },
    { only, ask: "POST /application", body: { name: "<run>-nats" }, status: 201 },
    {
      only,
      ask: "POST /microservices",
      body: {
        ...{
          name: "n",
          agentName: "<run>-edge",
          application: "<run>-nats",
          natsConfig: { natsAccess: true },
        },
        images: [{ fogTypeId: 1, containerImage: "x" }],
      },
      status: 400,
      answer: invalid("Microservice natsAccess requires application natsAccess=true"),
    },
    {
      only,
      ask: "PATCH /application/<run>-nats",
      body: { natsConfig: { natsAccess: true, natsRule: "default-account" } },
      status: 204,
    },
    {
      only,
      ask: "GET /application/<run>-nats",
      status: 200,
      answer: { natsConfig: { natsAccess: true, natsRule: "default-account" } },
    },
    { only, ask: "PATCH /application/<run>-nats", body: { natsConfig: { natsAccess: false } }, status: 204 },
    {
      only,
      ask: "GET /application/<run>-nats",
      status: 200,
      answer: { natsConfig: { natsAccess: false, natsRule: null } },
    },
    { only, ask: "DELETE /application/<run>-nats", status: 204 },
  ],
};
