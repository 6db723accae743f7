/**
 * Reads kubeconfig files as kubectl does: one named file, or the files that KUBECONFIG lists merged (the first that
 * says something wins), or `~/.kube/config`.
 *
 * Everything in them that cannot be honoured is refused rather than ignored, with the file, the context and the field.
 * No message quotes a value of a credential, and none of YAML's own, which quote the text around an error.
 */

import { parse as parseYaml } from "@std/yaml";
import { dirname, isAbsolute, join } from "node:path";
import * as z from "zod";
import { type Clock, systemClock } from "../clock.ts";
import {
  checkCertificates,
  ConfigError,
  type ConnectionConfig,
  type Credentials,
  type Environment,
  readConfigured,
} from "./connection_config.ts";
import { type ExecCluster, execCredentials, execSchema } from "./exec_credentials.ts";

/** Which kubeconfig, and which context in it. */
export interface KubeconfigOptions {
  /** A file that must exist. @default KUBECONFIG, then `~/.kube/config` */
  readonly path?: string | undefined;
  /** @default the file's current-context */
  readonly context?: string | undefined;
  readonly clock?: Clock | undefined;
}

const text = z.string().nullish();

const clusterSchema = z.object({
  "server": text,
  "certificate-authority": text,
  "certificate-authority-data": text,
  "insecure-skip-tls-verify": z.boolean().nullish(),
  "tls-server-name": text,
  "proxy-url": text,
  "extensions": z.array(z.object({ name: z.string(), extension: z.unknown() })).nullish(),
});

const userSchema = z.object({
  "token": text,
  "tokenFile": text,
  "username": text,
  "password": text,
  "client-certificate": text,
  "client-certificate-data": text,
  "client-key": text,
  "client-key-data": text,
  "exec": execSchema.nullish(),
  "auth-provider": z.unknown().optional(),
  "as": text,
});

const contextSchema = z.object({ cluster: z.string(), user: text, namespace: text });

const fileSchema = z.object({
  "current-context": text,
  "clusters": z.array(z.object({ name: z.string(), cluster: clusterSchema })).nullish(),
  "users": z.array(z.object({ name: z.string(), user: userSchema.nullish() })).nullish(),
  "contexts": z.array(z.object({ name: z.string(), context: contextSchema })).nullish(),
});

type Cluster = z.infer<typeof clusterSchema>;
type User = z.infer<typeof userSchema>;

/** An entry and the file that it is from: relative paths start at that file's folder. */
interface Found<T> {
  readonly value: T;
  readonly file: string;
}

/** A file's `kind: Config`. */
interface KubeconfigFile {
  readonly file: string;
  readonly content: z.infer<typeof fileSchema>;
}

/** The words before every message, and what relative paths are relative to. */
interface Place {
  readonly environment: Environment;
  readonly file: string;
  /** `FILE, context NAME` */
  readonly label: string;
}

/**
 * The connection that a kubeconfig describes.
 *
 * Files that it names (authorities, certificates, tokens) and credential plugins are read and run by the providers of
 * the result, when they are needed.
 *
 * @throws ConfigError when a file, or anything in it that the context needs, is missing, malformed or not supported.
 */
export async function loadKubeconfig(
  environment: Environment,
  options: KubeconfigOptions = {},
): Promise<ConnectionConfig> {
  const files = await readFiles(environment, options.path);
  const names = files.map(({ file }) => file).join(":");
  const contextName = options.context ??
    files.map(({ content }) => content["current-context"]).find(Boolean) ?? undefined;
  if (contextName === undefined) {
    throw new ConfigError(
      `${names}: no current-context; name one with --context or kubectl config use-context`,
    );
  }
  const context = find(files, (file) => file.contexts, contextName, (entry) => entry.context);
  if (context === undefined) {
    const known = files.flatMap(({ content }) => content.contexts ?? []).map(({ name }) => name);
    throw new ConfigError(
      `${names}: no context ${contextName}; there is ${
        known.length === 0 ? "none at all" : known.join(", ")
      }`,
    );
  }
  const label = `${context.file}, context ${contextName}`;
  const { cluster: clusterName, namespace, user: userName } = context.value;
  const cluster = find(files, (file) => file.clusters, clusterName, (entry) => entry.cluster);
  if (cluster === undefined) throw new ConfigError(`${label}: cluster: there is no cluster ${clusterName}`);
  const user = userName
    ? find(files, (file) => file.users, userName, (entry) => entry.user ?? {})
    : { value: {}, file: context.file };
  if (user === undefined) throw new ConfigError(`${label}: user: there is no user ${userName}`);

  const clusterPlace = { environment, file: cluster.file, label };
  const connection = connect(cluster.value, clusterPlace);
  return {
    ...connection,
    namespace: namespace ?? undefined,
    source: label,
    credentials: credentialsOf(
      user.value,
      { environment, file: user.file, label },
      execCluster(cluster.value, connection.server),
      options.clock ?? systemClock,
    ),
  };
}

async function readFiles(environment: Environment, path: string | undefined): Promise<KubeconfigFile[]> {
  if (path !== undefined) return [await readFile(environment, path)];
  const listed = (environment.variable("KUBECONFIG") ?? "").split(":").filter(Boolean);
  const home = environment.variable("HOME");
  const candidates = listed.length > 0 ? listed : home === undefined ? [] : [join(home, ".kube", "config")];
  const files: KubeconfigFile[] = [];
  for (const candidate of candidates) {
    try {
      files.push(await readFile(environment, candidate));
    } catch (error) {
      // As kubectl: a file in the list may be missing, but not unreadable.
      if (!(error instanceof ConfigError && error.cause instanceof Deno.errors.NotFound)) throw error;
    }
  }
  if (files.length === 0) {
    const where = candidates.length === 0
      ? "neither KUBECONFIG nor HOME is set"
      : `no ${candidates.join(", no ")}`;
    throw new ConfigError(`no kubeconfig: ${where}; name a file with --kubeconfig or KUBECONFIG`);
  }
  return files;
}

async function readFile(environment: Environment, file: string): Promise<KubeconfigFile> {
  const source = await readConfigured(environment, file, "kubeconfig");
  let value: unknown;
  try {
    value = parseYaml(source);
  } catch (error) {
    const line = /line (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
    throw new ConfigError(
      `${file}: is not YAML${line === undefined ? "" : ` (line ${line})`}; mend or replace it`,
    );
  }
  const parsed = fileSchema.safeParse(value ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue?.path.join(".") || "the document";
    throw new ConfigError(`${file}: ${field}: ${issue?.message}; mend that field`);
  }
  return { file, content: parsed.data };
}

/** The first entry called `name`, file by file. */
function find<Entry extends { name: string }, T>(
  files: readonly KubeconfigFile[],
  entries: (content: KubeconfigFile["content"]) => readonly Entry[] | null | undefined,
  name: string,
  value: (entry: Entry) => T,
): Found<T> | undefined {
  for (const { content, file } of files) {
    const entry = entries(content)?.find((candidate) => candidate.name === name);
    if (entry !== undefined) return { value: value(entry), file };
  }
  return undefined;
}

function connect(cluster: Cluster, place: Place): Pick<ConnectionConfig, "server" | "proxy" | "authorities"> {
  const server = address(cluster.server, ["https:", "http:"], `${place.label}: server`);
  if (cluster["insecure-skip-tls-verify"]) {
    throw new ConfigError(
      `${place.label}: insecure-skip-tls-verify: not supported, Deno always verifies; ` +
        "set certificate-authority-data instead",
    );
  }
  const serverName = cluster["tls-server-name"];
  if (serverName && serverName !== new URL(server).hostname) {
    throw new ConfigError(
      `${place.label}: tls-server-name: not supported, Deno's fetch verifies the address it connects to; ` +
        `let server be https://${serverName} and have that name resolve`,
    );
  }
  const proxy = cluster["proxy-url"];
  const authorities = pem(cluster, "certificate-authority", place);
  const where = `${place.label}: certificate-authority`;
  return {
    server,
    proxy: proxy
      ? address(proxy, ["http:", "https:", "socks5:", "socks5h:"], `${place.label}: proxy-url`)
      : undefined,
    authorities: authorities && (async () => checkCertificates(await authorities(), where)),
  };
}

function address(value: string | null | undefined, protocols: readonly string[], where: string): string {
  const url = value ? URL.parse(value) : null;
  if (url === null || !protocols.includes(url.protocol) || url.hostname === "") {
    const expected = protocols.map((protocol) => `${protocol}//`).join(" or ");
    throw new ConfigError(`${where}: ${value ? "is not" : "is missing;"} a URL that begins with ${expected}`);
  }
  return value!;
}

/** What reads the PEM in `KEY-data` (base64) or in the file `KEY`; undefined when neither is set. */
function pem<Key extends string>(
  holder: { readonly [K in Key | `${Key}-data`]?: string | null | undefined },
  key: Key,
  place: Place,
): (() => Promise<string>) | undefined {
  const data = holder[`${key}-data`];
  if (data) {
    let decoded: string;
    try {
      decoded = atob(data);
    } catch {
      throw new ConfigError(`${place.label}: ${key}-data: is not base64; encode the whole PEM file`);
    }
    return () => Promise.resolve(decoded);
  }
  const path = holder[key];
  return path ? () => readNamed(path, place, key) : undefined;
}

function readNamed(path: string, place: Place, field: string): Promise<string> {
  const resolved = isAbsolute(path) ? path : join(dirname(place.file), path);
  return readConfigured(place.environment, resolved, `${place.label}: ${field}`);
}

function credentialsOf(
  user: User,
  place: Place,
  cluster: ExecCluster,
  clock: Clock,
): ConnectionConfig["credentials"] {
  if (user["auth-provider"] !== undefined && user["auth-provider"] !== null) {
    throw new ConfigError(
      `${place.label}: auth-provider: was removed from Kubernetes; use the provider's exec plugin`,
    );
  }
  if (user.as) {
    throw new ConfigError(
      `${place.label}: as: impersonation is not supported; use a user with the rights itself`,
    );
  }
  const certificate = pem(user, "client-certificate", place);
  const key = pem(user, "client-key", place);
  if ((certificate === undefined) !== (key === undefined)) {
    const missing = key === undefined ? "client-key" : "client-certificate";
    throw new ConfigError(
      `${place.label}: ${missing}: is missing; a client certificate needs its key beside it`,
    );
  }
  const authorization = authorizationOf(user, place);
  if (authorization === undefined && user.exec) {
    return execCredentials(user.exec, { ...place, cluster, directory: dirname(place.file), clock });
  }
  return async (): Promise<Credentials> => ({
    authorization: await authorization?.(),
    clientCertificate: certificate && key && {
      certificate: checkCertificates(await certificate(), `${place.label}: client-certificate`),
      key: await key(),
    },
  });
}

function authorizationOf(user: User, place: Place): (() => Promise<string>) | undefined {
  const { password, token, tokenFile, username } = user;
  if (tokenFile) {
    return async () => {
      const read = (await readNamed(tokenFile, place, "tokenFile")).trim();
      if (read === "") {
        throw new ConfigError(`${place.label}: tokenFile: ${tokenFile} is empty; write a token to it`);
      }
      return `Bearer ${read}`;
    };
  }
  if (token) return () => Promise.resolve(`Bearer ${token.trim()}`);
  if (!username) return undefined;
  const bytes = new TextEncoder().encode(`${username}:${password ?? ""}`);
  const basic = `Basic ${btoa(String.fromCharCode(...bytes))}`;
  return () => Promise.resolve(basic);
}

function execCluster(cluster: Cluster, server: string): ExecCluster {
  const extension = cluster.extensions?.find(({ name }) => name === "client.authentication.k8s.io/exec");
  return {
    server,
    "certificate-authority-data": cluster["certificate-authority-data"] ?? undefined,
    "proxy-url": cluster["proxy-url"] ?? undefined,
    config: extension?.extension,
  };
}
