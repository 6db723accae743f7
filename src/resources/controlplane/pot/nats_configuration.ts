/**
 * The configuration of the NATS servers, `server.conf` in ConfigMap `iofog-nats-config`.
 *
 * The Controller edits this text too: it replaces what stands between the brackets of `routes` with a JSON list, found
 * by a regular expression. Ours are the routes through `nats-headless`, all others are the Controller's. Everything is
 * computed from the text that was read, and nothing of the Controller's is lost or doubled.
 */

import { bytesOf, isQuantity } from "../../quantity.ts";

/** What the text is made from. */
export interface NatsConfiguration {
  /** Name of the cluster of servers: that of the ControlPlane. */
  readonly cluster: string;
  /** JetStream's domain: the namespace. */
  readonly domain: string;
  /** JWT of the operator that signs the accounts. */
  readonly operatorJwt: string;
  /** Public key of the system account. */
  readonly systemAccount: string;
  /** Text with which JetStream's files are encrypted. */
  readonly jetStreamKey: string;
  /** As `storeSize` writes it. */
  readonly memoryStore: string;
  readonly fileStore: string;
  /** How many servers there are. */
  readonly servers: number;
  /** Where leaf nodes outside reach the servers, `host:port`; undefined where there is no such place. */
  readonly advertise: string | undefined;
}

/** Names and ports that stand in the configuration, in the pods and in the Services. */
export const NATS_HEADLESS = "nats-headless";
export const natsPorts = { client: 4222, cluster: 6222, leaf: 7422, mqtt: 8883, monitor: 8222 } as const;
export const SITE_SERVER = "nats-site-server";
export const MQTT_SERVER = "nats-mqtt-server";
export const CERTIFICATES_DIRECTORY = "/etc/nats/certs";
export const DATA_DIRECTORY = "/home/runner/data";
export const JWT_DIRECTORY = "/home/runner/nats/jwt";

/**
 * The text that should stand there instead of `live`: as wanted, with the routes that others added.
 *
 * @param live The text that was read; undefined where there is none.
 */
export function serverConfiguration(wanted: NatsConfiguration, live?: string): string {
  const found = live === undefined ? undefined : findRoutes(live);
  const own = ordinals(wanted.servers).map((ordinal) => routeTo(serverName(ordinal)));
  const foreign = (found?.routes ?? []).filter((route) => !isOwnRoute(route));
  const routes = [...new Set([...own, ...foreign])];
  // Another order, or other blanks, are no reason to have every server read it again.
  const isSame = found !== undefined && found.routes.length === routes.length &&
    routes.every((route) => found.routes.includes(route));
  return configurationText(wanted, isSame ? found.text : routesText(routes));
}

/** What only the Controller knows, from a text of ours: needed while the Controller does not answer. */
export function readConfiguration(
  live: string,
): Pick<NatsConfiguration, "operatorJwt" | "systemAccount"> | undefined {
  const operatorJwt = /^operator\s*[=:]\s*"?([\w.-]+)"?\s*$/m.exec(live)?.[1];
  const systemAccount = /^system_account\s*[=:]\s*"?(\w+)"?\s*$/m.exec(live)?.[1];
  return operatorJwt === undefined || systemAccount === undefined
    ? undefined
    : { operatorJwt, systemAccount };
}

/** Name of a server and of its pod. */
export function serverName(ordinal: number): string {
  return `nats-${ordinal}`;
}

/** 0, 1, ... */
export function ordinals(servers: number): readonly number[] {
  return Array.from({ length: servers }, (_, ordinal) => ordinal);
}

/**
 * A size for NATS, which counts `10Gi` as `10G`; undefined where the text is neither a quantity of Kubernetes nor a
 * size of NATS.
 */
export function storeSize(text: string): string | undefined {
  const [, amount, unit] = /^([0-9]+)\s*([kmgt])i?b?$/i.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) return `${amount}${unit.toUpperCase()}`;
  return isQuantity(text) ? `${bytesOf(text)}` : undefined;
}

function routeTo(server: string): string {
  return `nats://${server}.${NATS_HEADLESS}:${natsPorts.cluster}`;
}

/** As the Controller tells them apart. */
function isOwnRoute(route: string): boolean {
  return route.includes(NATS_HEADLESS);
}

function routesText(routes: readonly string[]): string {
  return `routes: [${routes.map((route) => JSON.stringify(route)).join(", ")}]`;
}

/** The list of routes in `text`, quoted or not, with commas or line breaks between them. */
function findRoutes(
  text: string,
): { readonly text: string; readonly routes: readonly string[] } | undefined {
  const found = /routes\s*[:=]\s*\[((?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\]"'])*)\]/.exec(text);
  if (found === null) return undefined;
  const items = [...(found[1] ?? "").matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s,"']+)/g)];
  return {
    text: found[0],
    routes: items.map(([, double, single, bare]) => double ?? single ?? bare ?? ""),
  };
}

function configurationText(wanted: NatsConfiguration, routes: string): string {
  const { advertise, cluster, domain, fileStore, jetStreamKey, memoryStore, operatorJwt, systemAccount } =
    wanted;
  return `port: ${natsPorts.client}
server_name: $SELFNAME
pid_file: /home/runner/run/nats.pid
http_port: ${natsPorts.monitor}

# Operator
operator = ${operatorJwt}

# System account
system_account = ${systemAccount}

jetstream: {
  store_dir: ${DATA_DIRECTORY}
  domain: ${JSON.stringify(domain)}
  max_memory_store: ${memoryStore}
  max_file_store: ${fileStore}
  cipher: chachapoly
  key: ${JSON.stringify(jetStreamKey)}
  prev_encryption_key: ""
}

cluster: {
  name: ${JSON.stringify(cluster)}
  port: ${natsPorts.cluster}
  no_advertise: true
  ${routes}
  tls: {
${certificateFiles(SITE_SERVER)}
    handshake_first: true
    verify: true
    timeout: "3s"
  }
}

leafnodes: {
  port: ${natsPorts.leaf}
${advertise === undefined ? "" : `  advertise: ${JSON.stringify(advertise)}\n`}  tls: {
${certificateFiles(SITE_SERVER)}
    verify: true
    handshake_first: true
    timeout: "3s"
  }
}

mqtt: {
  port: ${natsPorts.mqtt}
  tls: {
${certificateFiles(MQTT_SERVER)}
    handshake_first: true
    timeout: "3s"
  }
}

resolver: {
  type: full
  dir: "${JWT_DIRECTORY}"
  allow_delete: false
  interval: "2m"
}
`;
}

function certificateFiles(secret: string): string {
  const directory = `${CERTIFICATES_DIRECTORY}/${secret}`;
  return `    ca_file: "${directory}/ca.crt"
    cert_file: "${directory}/tls.crt"
    key_file: "${directory}/tls.key"`;
}
