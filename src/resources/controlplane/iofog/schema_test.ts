import { assert, assertEquals } from "@std/assert";
import { user } from "./fixtures.ts";
import { type AcceptedSpec, parseSpec } from "./schema.ts";
import type { Problem } from "../../../operator/definition.ts";

const database = {
  provider: "mysql",
  host: "db.example.com",
  port: 3306,
  user: "controller",
  password: "Fake-Db-Pass",
  databaseName: "iofog",
};

const defaults = {
  user,
  database: {},
  ingresses: {
    router: { messagePort: 5672, interiorPort: 55672, edgePort: 45672 },
    httpProxy: {},
    tcpProxy: {},
  },
  services: { controller: { type: "LoadBalancer" }, router: { type: "LoadBalancer" }, proxy: {} },
  replicas: { portManager: 1 },
  images: {},
  controller: { pidBaseDir: "/tmp", ecnViewerPort: 80 },
  certificates: {},
  pods: { controller: {}, router: {}, portManager: {} },
  storage: {},
  deletionPolicy: "Delete",
  podDisruptionBudgets: { enabled: false },
  networkPolicies: { enabled: false },
};

function acceptedSpec(spec: unknown): AcceptedSpec {
  const parsed = parseSpec(spec);
  if ("problems" in parsed) throw new Error(`refused: ${JSON.stringify(parsed.problems)}`);
  return parsed.spec;
}

function problemsOf(spec: unknown): readonly Problem[] {
  const parsed = parseSpec(spec);
  if ("spec" in parsed) throw new Error("accepted");
  return parsed.problems;
}

Deno.test("parseSpec() fills in the defaults", () => {
  assertEquals(parseSpec({ user }), { spec: defaults, unknownFields: [] });
});

Deno.test("parseSpec() takes the empty blocks that the Go operator writes for not set", () => {
  const empty = {
    user,
    database: { provider: "", host: "", port: 0, user: "", password: "", databaseName: "" },
    ingresses: {
      router: { address: "", messagePort: 0, interiorPort: 0, edgePort: 0 },
      httpProxy: { address: "" },
      tcpProxy: null,
    },
    services: { controller: { type: "" }, router: {}, proxy: { type: "", address: "" } },
    replicas: { controller: 0 },
    images: {},
    controller: { pidBaseDir: "", ecnViewerPort: 0, ecn: null },
    pods: {
      controller: null,
      router: { resources: null, labels: null },
      portManager: { priorityClassName: "" },
    },
    storage: { size: "", storageClassName: "" },
    deletionPolicy: "",
    podDisruptionBudgets: null,
    networkPolicies: { enabled: null },
  };
  assertEquals(parseSpec(empty), { spec: defaults, unknownFields: [] });
});

Deno.test("parseSpec() takes service types in any case, and knows an external database", () => {
  const spec = acceptedSpec({
    user,
    database,
    replicas: { controller: 3 },
    services: {
      controller: { type: "nodeport" },
      router: { type: "CLUSTERIP" },
      proxy: { type: "anything" },
    },
  });
  assertEquals(spec.services.controller.type, "NodePort");
  assertEquals(spec.services.router.type, "ClusterIP");
  assertEquals(spec.replicas.controller, 3);
  assertEquals(spec.database, database);
});

Deno.test("parseSpec() names unknown fields, accepted or not", () => {
  const unknown = { images: { kubelet: "x", operator: "" }, extra: { user: 1 }, services: { nats: {} } };
  const unknownFields = ["spec.extra", "spec.images.kubelet", "spec.services.nats"];
  assertEquals(parseSpec({ user, ...unknown }), {
    spec: { ...defaults },
    unknownFields,
  });
  const refused = parseSpec({ user: { ...user, name: "ab", nickname: "x" }, ...unknown });
  assertEquals("problems" in refused && refused.problems.length, 1);
  assertEquals(refused.unknownFields, [...unknownFields, "spec.user.nickname"]);
});

Deno.test("parseSpec() treats __proto__ and constructor as any unknown field", () => {
  const parsed = parseSpec(
    JSON.parse(`{"__proto__": {"a": 1}, "constructor": {"b": 2}, "user": ${JSON.stringify(user)}}`),
  );
  assert("spec" in parsed);
  assertEquals(parsed.unknownFields, ["spec.__proto__", "spec.constructor"]);
});

/** Bad input: the field at fault, and a part of what is said about it. */
const pods = (settings: unknown) => ({ user, pods: { controller: settings } });
const bad: readonly [what: string, spec: unknown, field: string, says: string][] = [
  ["no spec", undefined, "spec.user", "required"],
  ["a spec of text", "x", "spec", "must be an object, not text"],
  ["a spec that is a list", [], "spec", "must be an object, not a list"],
  ["no user", {}, "spec.user", "required"],
  ["a user of text", { user: "x" }, "spec.user", "must be an object, not text"],
  ["an empty name", { user: { ...user, name: "" } }, "spec.user.name", "required"],
  ["no surname", { user: { ...user, surname: undefined } }, "spec.user.surname", "required"],
  ["a short name", { user: { ...user, name: "Al" } }, "spec.user.name", "at least 3 characters"],
  ["a short surname", { user: { ...user, surname: "Li" } }, "spec.user.surname", "at least 3 characters"],
  ["a name that is a number", { user: { ...user, name: 7 } }, "spec.user.name", "must be text, not a number"],
  [
    "a name that is true",
    { user: { ...user, name: true } },
    "spec.user.name",
    "must be text, not true or false",
  ],
  ["an e-mail without @", { user: { ...user, email: "admin" } }, "spec.user.email", "e-mail address"],
  ["an e-mail with a blank", { user: { ...user, email: "a b@c.de" } }, "spec.user.email", "e-mail address"],
  [
    "a short password",
    { user: { ...user, password: "a-b-c-d" } },
    "spec.user.password",
    "at least 8 characters",
  ],
  [
    "a password that is short once decoded",
    { user: { ...user, password: "c2hvcnQ=" } },
    "spec.user.password",
    "base64",
  ],
  [
    "plain text that is base64 by accident",
    { user: { ...user, password: "password" } },
    "spec.user.password",
    "base64",
  ],
  [
    "a StorageClass of a name that none has",
    { user, storage: { storageClassName: "Fast Disks" } },
    "spec.storage.storageClassName",
    "must be the name of a StorageClass",
  ],
  [
    "an unknown service type",
    { user, services: { controller: { type: "ExternalName" } } },
    "spec.services.controller.type",
    "LoadBalancer, NodePort, ClusterIP",
  ],
  [
    "an unknown router service type",
    { user, services: { router: { type: "Ingress" } } },
    "spec.services.router.type",
    "LoadBalancer, NodePort, ClusterIP",
  ],
  ["a service that is a list", { user, services: { router: [] } }, "spec.services.router", "not a list"],
  [
    "a port that is too high",
    { user, ingresses: { router: { edgePort: 65536 } } },
    "spec.ingresses.router.edgePort",
    "1 to 65535",
  ],
  [
    "a negative port",
    { user, ingresses: { router: { messagePort: -1 } } },
    "spec.ingresses.router.messagePort",
    "1 to 65535",
  ],
  [
    "a port of text",
    { user, ingresses: { router: { interiorPort: "55672" } } },
    "spec.ingresses.router.interiorPort",
    "a whole number, not text",
  ],
  [
    "a fraction of a port",
    { user, controller: { ecnViewerPort: 80.5 } },
    "spec.controller.ecnViewerPort",
    "a whole number, not a fraction",
  ],
  [
    "a port beyond all numbers",
    { user, controller: { ecnViewerPort: 1e300 } },
    "spec.controller.ecnViewerPort",
    "not a number that the field can hold",
  ],
  [
    "the viewer on the port of the API",
    { user, controller: { ecnViewerPort: 51121 } },
    "spec.controller.ecnViewerPort",
    "must not be 51121",
  ],
  [
    "a URL for the router's address",
    { user, ingresses: { router: { address: "amqp://router.example.com:5672" } } },
    "spec.ingresses.router.address",
    "without scheme or port",
  ],
  [
    "a router's address that is not ASCII",
    { user, ingresses: { router: { address: "röuter.example.com" } } },
    "spec.ingresses.router.address",
    "host name or an IP address",
  ],
  ["two Controllers on sqlite", { user, replicas: { controller: 2 } }, "spec.replicas.controller", "sqlite"],
  [
    "a negative number of Controllers",
    { user, replicas: { controller: -1 } },
    "spec.replicas.controller",
    "at least 1",
  ],
  [
    "more Controllers than int32 holds",
    { user, replicas: { controller: 2 ** 31 } },
    "spec.replicas.controller",
    "not a number that the field can hold",
  ],
  [
    "a database without a host",
    { user, database: { ...database, host: "" } },
    "spec.database",
    "lacks host",
  ],
  [
    "a database with a host only",
    { user, database: { host: "db" } },
    "spec.database",
    "lacks provider, port, user, password, databaseName",
  ],
  [
    "a database with credentials only",
    { user, database: { user: "u", password: "Fake-Db-Pass" } },
    "spec.database",
    "lacks",
  ],
  [
    "a database port out of range",
    { user, database: { ...database, port: 70000 } },
    "spec.database.port",
    "65535",
  ],
  [
    "a host for sqlite",
    { user, database: { ...database, provider: "sqlite" } },
    "spec.database.host",
    "must be empty with provider sqlite",
  ],
  ["two routers", { user, replicas: { router: 2 } }, "spec.replicas.router", "the same identity"],
  ["no Port Manager", { user, replicas: { portManager: -1 } }, "spec.replicas.portManager", "at least 1"],
  ["an image with a blank", { user, images: { router: "a b" } }, "spec.images.router", "must be an image"],
  [
    "a label that selects the pods",
    pods({ labels: { name: "mine" } }),
    "spec.pods.controller.labels",
    "must not contain name",
  ],
  [
    "an annotation of the operator",
    pods({ annotations: { "iofog.org/revision-x": "1" } }),
    "spec.pods.controller.annotations",
    "must not contain iofog.org/revision-x",
  ],
  [
    "a label that is a number",
    pods({ labels: { tier: 1 } }),
    "spec.pods.controller.labels.tier",
    "must be text, not a number",
  ],
  [
    "an amount that is none",
    pods({ resources: { limits: { memory: "1 GB" } } }),
    "spec.pods.controller.resources.limits.memory",
    "must be a quantity",
  ],
  [
    "a negative amount",
    pods({ resources: { requests: { cpu: -1 } } }),
    "spec.pods.controller.resources.requests.cpu",
    "not negative",
  ],
  [
    "an amount that is true",
    pods({ resources: { requests: { cpu: true } } }),
    "spec.pods.controller.resources.requests.cpu",
    "must be a quantity",
  ],
  ["tolerations that are no list", pods({ tolerations: {} }), "spec.pods.controller.tolerations", "a list"],
  [
    "an effect that does not exist",
    pods({ tolerations: [{ operator: "Exists" }, { effect: "Evict" }] }),
    "spec.pods.controller.tolerations[1].effect",
    "must be one of NoExecute, NoSchedule, PreferNoSchedule",
  ],
  [
    "a constraint without its key",
    pods({ topologySpreadConstraints: [{ maxSkew: 1, whenUnsatisfiable: "DoNotSchedule" }] }),
    "spec.pods.controller.topologySpreadConstraints[0].topologyKey",
    "is required",
  ],
  [
    "a flag of text",
    pods({ securityContext: { runAsNonRoot: "true" } }),
    "spec.pods.controller.securityContext.runAsNonRoot",
    "must be true or false, not text",
  ],
  ["a claim of size 0", { user, storage: { size: "0Gi" } }, "spec.storage.size", "must be more than 0"],
  ["a size that is none", { user, storage: { size: "big" } }, "spec.storage.size", "must be a quantity"],
  ["an unknown policy", { user, deletionPolicy: "Keep" }, "spec.deletionPolicy", "one of Delete, Retain"],
  [
    "a switch of text",
    { user, networkPolicies: { enabled: "true" } },
    "spec.networkPolicies.enabled",
    "must be true or false, not text",
  ],
];

for (const [what, spec, field, says] of bad) {
  Deno.test(`parseSpec() refuses ${what}`, () => {
    const problems = problemsOf(spec);
    const found = problems.find((problem) => problem.field === field);
    assert(found?.message.includes(says), JSON.stringify(problems));
    assertEquals(found?.reason, "InvalidSpec");
  });
}

Deno.test("parseSpec() takes provider sqlite, and the addresses of routers in all their forms", () => {
  for (const address of ["router.example.com", "my_router", "192.0.2.1", "2001:db8::1", "::1"]) {
    assert(
      "spec" in parseSpec({ user, database: { provider: "SQLite" }, ingresses: { router: { address } } }),
      address,
    );
  }
});

Deno.test("parseSpec() takes parts of pods as Kubernetes has them, empty values and all, in its own amounts", () => {
  const settings = {
    labels: { tier: "" },
    resources: { requests: { cpu: 0.5, memory: "1024Mi" }, limits: { "example.org/gpu": 0 } },
    nodeSelector: { disk: "" },
    tolerations: [{ operator: "Exists", tolerationSeconds: 0 }],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { name: "controller" } } },
        ],
      },
    },
    podSecurityContext: {
      runAsUser: 0,
      fsGroup: 10000,
      supplementalGroups: [0],
      seccompProfile: { type: "RuntimeDefault" },
    },
    securityContext: { capabilities: { drop: ["ALL"] }, readOnlyRootFilesystem: false },
    priorityClassName: "high",
  };
  const expected = {
    ...settings,
    resources: { requests: { cpu: "500m", memory: "1Gi" }, limits: { "example.org/gpu": "0" } },
  };
  assertEquals<unknown>(acceptedSpec(pods(settings)).pods.controller, expected);
});

Deno.test("parseSpec() leaves out nulls and unknown fields within parts of pods", () => {
  const parsed = parseSpec(pods({
    resources: { limits: null, requests: { cpu: null } },
    tolerations: [{ key: "a", effect: null, efect: "NoExecute" }, { key: "b" }],
    securityContext: { privilegd: true },
  }));
  assertEquals<unknown>("spec" in parsed && parsed.spec.pods.controller, {
    resources: { requests: {} },
    tolerations: [{ key: "a" }, { key: "b" }],
    securityContext: {},
  });
  assertEquals(parsed.unknownFields, [
    "spec.pods.controller.securityContext.privilegd",
    "spec.pods.controller.tolerations[0].efect",
  ]);
});

Deno.test("parseSpec() never repeats a value in a message", () => {
  const secret = "Fake-Secret-Value";
  const filled = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, secret]));
  const spec = {
    user: { name: [secret], surname: { a: secret }, email: secret, password: [secret], [`x`]: secret },
    database: { provider: secret, password: secret },
    ingresses: {
      router: { address: `amqp://${secret}`, ...filled(["messagePort", "interiorPort", "edgePort"]) },
    },
    services: { controller: { type: secret }, router: { type: secret } },
    replicas: { controller: secret },
    controller: filled(["ecnViewerPort"]),
  };
  const parsed = parseSpec(spec);
  assert(problemsOf(spec).length > 10);
  assert(!JSON.stringify(parsed).includes(secret));
});

Deno.test("parseSpec() refuses a spec of enormous size, and names the field that makes it so", () => {
  const enormous = (spec: object) => {
    const parsed = parseSpec({ user, ...spec });
    return "problems" in parsed ? parsed.problems.map(({ field }) => field) : [];
  };
  const text = "x".repeat(1_000_000);
  assertEquals(enormous({ controller: { ecn: text } }), ["spec.controller.ecn"]);
  assertEquals(enormous({ [text]: "a long key" }), ["spec"]);
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key-${index}`, "x"]));
  assertEquals(enormous({ pods: { router: { labels: many } } }), ["spec.pods.router.labels"]);
  assertEquals(enormous({ images: ["x".repeat(200_000)] }), ["spec.images"]);
});
