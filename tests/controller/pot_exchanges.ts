/**
 * What a control plane says to Controller 3.7.3 and hears from it, in the order in which it was recorded.
 *
 * Source: requests and answers recorded from a running Controller 3.7.3, without any auth settings, and with the key of
 * a realm; what it does in Kubernetes is from its sources. An exchange depends on the ones before it.
 */

/** Whose token is sent, as `Bearer`; `bare` is the admin's without that word. */
export type PotSender =
  | "nobody"
  | "admin"
  | "viewer"
  | "sre"
  | "stranger"
  | "expired"
  | "otherAudience"
  | "bare";

/** One request and its answer. */
export interface PotExchange {
  readonly as: PotSender;
  readonly method: string;
  /** Below `/api/v3`. */
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  /** The JSON of the answer with volatile values normalised, `html`, or undefined for none. */
  readonly answer?: unknown;
}

/** Exchanges that belong together. */
export interface PotChapter {
  readonly title: string;
  readonly exchanges: readonly PotExchange[];
}

type Row = readonly [PotSender, string, unknown, number, unknown];

/** As, `METHOD /path`, body, status, answer. */
function chapter(title: string, rows: readonly Row[]): PotChapter {
  return {
    title,
    exchanges: rows.map(([as, request, body, status, answer]) => {
      const [method = "", path = ""] = request.split(" ");
      return { as, method, path, body, status, answer };
    }),
  };
}

const none = undefined;
const failure = (name: string, message: string) => ({ name, message });
const accident = (name: string, message: string) => ({ name, message, stack: "<stack>" });
const unauthorized = { error: "Unauthorized: No authentication information found" };
const forbidden = {
  error: "Forbidden",
  message:
    "Authorization denied: You do not have permission to perform this action. Please contact your administrator.",
};
const mocked = { accessToken: "mock-access-token", refreshToken: "mock-refresh-token" };
const status = {
  status: "online",
  timestamp: "<number>",
  uptimeSec: "<number>",
  versions: { controller: "3.7.3" },
};
const hub = (host: string, ports = [4222, 6222, 7422, 8883, 8222]) => ({
  host,
  serverPort: ports[0],
  clusterPort: ports[1],
  leafPort: ports[2],
  mqttPort: ports[3],
  httpPort: ports[4],
});
const router = { host: "router.example", messagingPort: 5671, interRouterPort: 55671, edgeRouterPort: 45671 };
const routerRow = (host: string) => ({
  id: "<id>",
  isEdge: false,
  messagingPort: 5671,
  host,
  edgeRouterPort: 45671,
  interRouterPort: 55671,
  isDefault: true,
  updatedAt: "<time>",
  createdAt: "<time>",
});

/** Without `realm`: the Controller starts, and knows nobody. */
export const chaptersWithoutAuth: readonly PotChapter[] = [
  chapter("started without any auth settings", [
    ["nobody", "GET /status", none, 200, status],
    ["nobody", "GET /email-activation", none, 404, "html"],
    [
      "nobody",
      "POST /user/signup",
      { firstName: "Operator", lastName: "Bot", email: "op@example.com", password: "Sup3rSecret!" },
      404,
      "html",
    ],
    ["nobody", "POST /user/login", { email: "op@example.com", password: "x" }, 200, mocked],
    ["nobody", "POST /user/refresh", { refreshToken: "x" }, 200, mocked],
    ["nobody", "GET /router", none, 401, unauthorized],
    ["nobody", "HEAD /capabilities/edgeResources", none, 401, none],
    ["nobody", "HEAD /capabilities/nats", none, 401, none],
    ["admin", "GET /router", none, 401, unauthorized],
  ]),
];

/** With a realm, outside Kubernetes. */
export const chaptersWithAuth: readonly PotChapter[] = [
  chapter("who may do what", [
    ["nobody", "GET /status", none, 200, status],
    ["nobody", "GET /config", none, 401, unauthorized],
    ["bare", "GET /config", none, 401, unauthorized],
    ["expired", "GET /config", none, 401, unauthorized],
    ["otherAudience", "GET /config", none, 401, unauthorized],
    ["viewer", "PUT /router", { host: "v" }, 403, forbidden],
    ["stranger", "GET /config", none, 403, forbidden],
    ["sre", "PUT /nats/hub", { host: "v" }, 403, forbidden],
    ["sre", "GET /nats/bootstrap", none, 403, forbidden],
    ["admin", "HEAD /capabilities/nats", none, 204, none],
    [
      "nobody",
      "POST /user/login",
      { email: "op@example.com", password: "bad" },
      401,
      failure("InvalidCredentialsError", "Invalid credentials"),
    ],
    ["admin", "POST /user/logout", none, 204, none],
    ["admin", "GET /routes", none, 404, "html"],
  ]),
  chapter("default router", [
    ["admin", "GET /router", none, 404, failure("NotFoundError", "Invalid router 'default-router'")],
    ["admin", "PUT /router", {}, 400, failure("ValidationError", "Required field 'host' is missing")],
    [
      "admin",
      "PUT /router",
      { ...router, messagingPort: 0 },
      400,
      failure("ValidationError", "messagingPort must have a minimum value of 1"),
    ],
    ["admin", "PUT /router", router, 200, routerRow("router.example")],
    ["admin", "GET /router", none, 200, router],
    ["viewer", "GET /router", none, 200, router],
    ["sre", "PUT /router", { host: "second.example" }, 200, {
      ...routerRow("second.example"),
      iofog_uuid: null,
      iofogUuid: null,
    }],
    ["admin", "GET /router", none, 200, { ...router, host: "second.example" }],
  ]),
  chapter("NATS", [
    ["admin", "GET /nats/hub", none, 404, failure("NotFoundError", "NATS hub not found")],
    ["admin", "PUT /nats/hub", {}, 400, failure("ValidationError", "Required field 'host' is missing")],
    ["admin", "PUT /nats/hub", { host: "nats.example" }, 200, hub("nats.example")],
    ["admin", "GET /nats/hub", none, 200, hub("nats.example")],
    [
      "admin",
      "PUT /nats/hub",
      hub("n", [14222, 16222, 17422, 18883, 18222]),
      200,
      hub("n", [14222, 16222, 17422, 18883, 18222]),
    ],
    ["admin", "PUT /nats/hub", { host: "nats.example" }, 200, hub("nats.example")],
    [
      "admin",
      "GET /nats/bootstrap",
      none,
      403,
      failure(
        "ForbiddenError",
        "NATS bootstrap is only available when the Controller runs on the Kubernetes control plane",
      ),
    ],
    ["admin", "GET /nats/operator", none, 200, { name: "pot-operator", publicKey: "<O>", jwt: "<jwt>" }],
  ]),
  chapter("configuration", [
    ["admin", "GET /config", none, 200, { config: [] }],
    ["admin", "PUT /config", { key: "k", value: "v" }, 200, {
      id: "<id>",
      key: "k",
      value: "v",
      createdAt: "<time>",
      updatedAt: "<time>",
    }],
    ["admin", "GET /config/k", none, 200, { key: "k", value: "v" }],
  ]),
  chapter("secrets and config maps", [
    ["admin", "POST /secrets", { name: "s1", type: "Opaque", data: { k: "v" } }, 201, {
      id: "<id>",
      name: "s1",
      type: "Opaque",
    }],
    [
      "admin",
      "POST /secrets",
      { name: "s1", type: "Opaque", data: { k: "v" } },
      500,
      accident("ConflictError", 'Secret with name "s1" already exists'),
    ],
    [
      "admin",
      "POST /secrets",
      { name: "s2", type: "Opaque" },
      400,
      failure("ValidationError", "Required field 'data' is missing"),
    ],
    [
      "admin",
      "POST /secrets",
      { name: "s2", type: "kubernetes.io/tls", data: {} },
      400,
      failure("ValidationError", "Field type is not one of enum values: Opaque,tls"),
    ],
    [
      "admin",
      "POST /secrets",
      { name: "s2", type: "Opaque", data: {}, more: 1 },
      400,
      failure("ValidationError", "Field 'more' not allowed"),
    ],
    [
      "admin",
      "POST /secrets",
      { name: "s3", type: "tls", data: { "tls.crt": "YQ==", "tls.key": "YQ==", "ca.crt": "YQ==" } },
      201,
      { id: "<id>", name: "s3", type: "tls" },
    ],
    [
      "admin",
      "POST /secrets",
      { name: "s4", type: "tls", data: { "tls.crt": "a" } },
      400,
      failure("ValidationError", "Invalid base64 encoding for keys: tls.crt"),
    ],
    ["admin", "GET /secrets/s1", none, 200, { id: "<id>", name: "s1", type: "Opaque", data: { k: "v" } }],
    ["admin", "GET /secrets/nope", none, 404, failure("NotFoundError", 'Secret with name "nope" not found')],
    [
      "admin",
      "PATCH /secrets/s1",
      { data: { k: "v2" } },
      400,
      failure(
        "ValidationError",
        "Secret type mismatch. Secret s1 is of type Opaque but trying to update with type undefined",
      ),
    ],
    [
      "admin",
      "PATCH /secrets/s1",
      { type: "tls", data: { k: "v2" } },
      400,
      failure(
        "ValidationError",
        "Secret type mismatch. Secret s1 is of type Opaque but trying to update with type tls",
      ),
    ],
    [
      "admin",
      "PATCH /secrets/nope",
      { data: { k: "v2" } },
      404,
      failure("NotFoundError", 'Secret with name "nope" not found'),
    ],
    ["admin", "PATCH /secrets/s1", { type: "Opaque", data: { k: "v2" } }, 200, {}],
    ["admin", "POST /configmaps", { name: "c1", data: { a: "b" } }, 201, {
      id: "<id>",
      name: "c1",
      immutable: false,
      useVault: true,
    }],
    [
      "admin",
      "POST /configmaps",
      { name: "c1", data: { a: "b" } },
      500,
      accident("ConflictError", "ConfigMap with name c1 already exists"),
    ],
    ["admin", "POST /configmaps", { name: "c2", immutable: true, data: { a: "b" } }, 201, {
      id: "<id>",
      name: "c2",
      immutable: true,
      useVault: true,
    }],
    [
      "admin",
      "PATCH /configmaps/c1",
      { data: { a: "c" } },
      500,
      accident("SequelizeValidationError", "notNull Violation: ConfigMap.immutable cannot be null"),
    ],
    ["admin", "PATCH /configmaps/c1", { immutable: false, data: { a: "c" } }, 200, {
      id: "<id>",
      name: "c1",
      immutable: false,
      useVault: true,
    }],
    [
      "admin",
      "PATCH /configmaps/c2",
      { data: { a: "c" } },
      400,
      failure(
        "ValidationError",
        "Configmap c2 is immutable and cannot be updated. If you want to update it, please delete it and create a new configmap.",
      ),
    ],
    ["admin", "GET /configmaps/c1", none, 200, {
      id: "<id>",
      name: "c1",
      data: { a: "c" },
      immutable: false,
      useVault: true,
    }],
    [
      "admin",
      "GET /configmaps/nope",
      none,
      404,
      failure("NotFoundError", "ConfigMap with name nope not found"),
    ],
    ["admin", "DELETE /secrets/s1", none, 200, {}],
    ["admin", "DELETE /secrets/s1", none, 404, failure("NotFoundError", 'Secret with name "s1" not found')],
    ["admin", "DELETE /configmaps/c1", none, 200, {}],
    [
      "admin",
      "DELETE /configmaps/c1",
      none,
      404,
      failure("NotFoundError", "ConfigMap with name c1 not found"),
    ],
  ]),
  chapter("authorities and certificates", [
    [
      "admin",
      "GET /certificates/ca/router-site-ca",
      none,
      404,
      failure("NotFoundError", "CA with name router-site-ca not found"),
    ],
    [
      "admin",
      "POST /certificates/ca",
      { name: "ca1", type: "self-signed", subject: "ca1", expiration: 12 },
      201,
      { name: "ca1", subject: "ca1", type: "self-signed", valid_from: "<time>", valid_to: "<time>" },
    ],
    [
      "admin",
      "POST /certificates/ca",
      { name: "ca1", type: "self-signed", subject: "ca1", expiration: 12 },
      500,
      accident("ConflictError", "CA with name ca1 already exists"),
    ],
    [
      "admin",
      "POST /certificates/ca",
      { name: "x", type: "k8s-secret", secretName: "x" },
      400,
      failure("ValidationError", "Controller is not running in Kubernetes environment"),
    ],
    ["admin", "GET /certificates/ca/ca1", none, 200, {
      name: "ca1",
      subject: "ca1",
      isCA: true,
      validFrom: "<time>",
      validTo: "<time>",
      serialNumber: "<serial>",
      data: { certificate: "<certificate>", privateKey: "<key>" },
    }],
    [
      "admin",
      "POST /certificates",
      {
        name: "crt1",
        subject: "crt1",
        hosts: "a.example,10.0.0.1",
        expiration: 12,
        ca: { type: "direct", secretName: "ca1" },
      },
      201,
      {
        name: "crt1",
        subject: "crt1",
        hosts: "a.example,10.0.0.1",
        valid_from: "<time>",
        valid_to: "<time>",
        ca_name: "ca1",
      },
    ],
    [
      "admin",
      "DELETE /certificates/ca/ca1",
      none,
      500,
      accident(
        "ValidationError",
        "Cannot delete CA that has signed certificates. Please delete the following certificates first: crt1",
      ),
    ],
    ["admin", "DELETE /secrets/crt1", none, 200, {}],
    ["admin", "DELETE /certificates/ca/ca1", none, 200, {}],
    ["admin", "GET /certificates/ca", none, 200, { cas: [] }],
  ]),
];
