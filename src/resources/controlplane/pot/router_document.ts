/**
 * The router's configuration, a document that the Controller writes to as well: it adds `tcpListener` and
 * `tcpConnector` entries for Services of microservices (as PoT operator 3.7.2 and Controller 3.7.3 do).
 *
 * Guarantees: an entry is known by its type and its name; ours stand as they should be, everybody else's are kept
 * exactly once. A text that says so already stays as it is, to the byte.
 */

/** A type, such as `listener`, and its attributes. */
type Entry = readonly [type: string, attributes: Readonly<Record<string, unknown>>];

/** What the configuration is called, and where the router listens. */
export const ROUTER_ID = "default-router";
export const MESSAGING_PORT = 5671;
export const INTER_ROUTER_PORT = 55671;
export const EDGE_ROUTER_PORT = 45671;
export const HEALTH_PORT = 9090;
/** Where the router finds its certificates: one directory for each Secret. */
export const CERTIFICATES_DIRECTORY = "/etc/skupper-router-certs";

/**
 * The configuration as it should be, beside what `stored` says besides it.
 *
 * @throws SyntaxError when `stored` is no such document.
 */
export function routerDocument(namespace: string, stored: string | undefined): string {
  const own = ownEntries(namespace);
  if (stored === undefined || stored.trim() === "") return textOf(own);
  const present = entriesOf(stored);
  const ids = new Set(own.map(identityOf));
  const foreign = new Map(
    present.filter((entry) => !ids.has(identityOf(entry)) && !isFormer(entry))
      .map((entry) => [identityOf(entry), entry]),
  );
  const wanted = [...own, ...foreign.values()];
  return isSame(present, wanted) ? stored : textOf(wanted);
}

/**
 * Entries that earlier releases wrote and that now have another name: their certificates are gone, and two listeners
 * cannot have one port.
 */
function isFormer([type, attributes]: Entry): boolean {
  return formerNames.has(`${type} ${String(attributes["name"])}`);
}

const formerNames: ReadonlySet<string> = new Set([
  "sslProfile pot-router-site-server",
  "sslProfile pot-router-local-server",
  "listener pot-router-edge",
  "listener pot-router-inter-router",
]);

/**
 * Reads a document.
 *
 * @throws SyntaxError
 */
function entriesOf(text: string): readonly Entry[] {
  const parsed: unknown = JSON.parse(text);
  const isEntry = (value: unknown): value is Entry =>
    Array.isArray(value) && value.length === 2 && typeof value[0] === "string" &&
    typeof value[1] === "object" &&
    value[1] !== null && !Array.isArray(value[1]);
  if (!Array.isArray(parsed) || !parsed.every(isEntry)) {
    throw new SyntaxError("it is no list of pairs of a type and its attributes");
  }
  return parsed;
}

/** What makes an entry the same one, whatever else it says. */
function identityOf([type, attributes]: Entry): string {
  const { name, prefix, pattern, module, id } = attributes;
  // There is one router, and one site, whatever they are called.
  const key = type === "router" || type === "site" ? "" : name ?? prefix ?? pattern ?? module ?? id;
  return JSON.stringify([type, key ?? attributes]);
}

function isSame(present: readonly Entry[], wanted: readonly Entry[]): boolean {
  if (present.length !== wanted.length) return false;
  const canonical = (entries: readonly Entry[]) =>
    entries.map((entry) => JSON.stringify(sorted(entry))).sort();
  const [mine, theirs] = [canonical(present), canonical(wanted)];
  return mine.every((entry, index) => entry === theirs[index]);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1).map((
      [key, field],
    ) => [key, sorted(field)]),
  );
}

function textOf(entries: readonly Entry[]): string {
  return JSON.stringify(entries, null, 4);
}

function ownEntries(namespace: string): readonly Entry[] {
  const tls = { saslMechanisms: "EXTERNAL", authenticatePeer: true };
  return [
    ["router", {
      id: ROUTER_ID,
      mode: "interior",
      helloMaxAgeSeconds: "3",
      metadata: JSON.stringify({
        id: ROUTER_ID,
        version: "pot",
        platform: "kubernetes",
        "pot-config": "1.0.0",
      }),
    }],
    ["site", { name: ROUTER_ID, platform: "kubernetes", namespace, version: "pot" }],
    ["sslProfile", { name: "system-default", certFile: "/etc/pki/tls/certs/ca-bundle.crt" }],
    tlsProfile("router-site-server"),
    tlsProfile("router-local-server"),
    ["listener", {
      name: "iofog-router-edge",
      role: "edge",
      port: EDGE_ROUTER_PORT,
      sslProfile: "router-site-server",
      ...tls,
    }],
    ["listener", { name: "amqp", host: "localhost", port: 5672 }],
    ["listener", { name: "amqps", port: MESSAGING_PORT, sslProfile: "router-local-server", ...tls }],
    ["listener", {
      name: `@${HEALTH_PORT}`,
      role: "normal",
      port: HEALTH_PORT,
      http: true,
      httpRootDir: "disabled",
      healthz: true,
      metrics: true,
    }],
    ["listener", {
      name: "iofog-router-inter-router",
      role: "inter-router",
      port: INTER_ROUTER_PORT,
      sslProfile: "router-site-server",
      ...tls,
    }],
    ["address", { prefix: "mc", distribution: "multicast" }],
    ["log", { module: "ROUTER_CORE", enable: "error+" }],
  ];
}

function tlsProfile(name: string): Entry {
  const directory = `${CERTIFICATES_DIRECTORY}/${name}`;
  return ["sslProfile", {
    name,
    certFile: `${directory}/tls.crt`,
    privateKeyFile: `${directory}/tls.key`,
    caCertFile: `${directory}/ca.crt`,
  }];
}
