/**
 * What a transport must know to reach one API server, wherever that came from.
 *
 * Credentials and trust are providers rather than values: tokens and certificates change while the process runs.
 */

/** How configuration code sees the machine; only `cli` implements it on the real one. */
export interface Environment {
  /** @throws Deno.errors.NotFound, PermissionDenied or the like, as `Deno.readTextFile` does. */
  readTextFile(path: string): Promise<string>;
  /** An environment variable. */
  variable(name: string): string | undefined;
  /**
   * Runs a program to its end and returns its standard output. Its standard error goes nowhere.
   *
   * @throws Deno.errors.NotFound when there is no such program, any other Error when it does not exit with 0.
   */
  run(
    command: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): Promise<string>;
}

/** A client certificate and its private key, both PEM. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** What proves who we are. */
export interface Credentials {
  /** Value of the header `Authorization`. */
  readonly authorization?: string | undefined;
  readonly clientCertificate?: ClientCertificate | undefined;
}

/** How to reach and trust one API server. */
export interface ConnectionConfig {
  /** Base URL, e.g. `https://10.0.0.1:6443`; may have a path. */
  readonly server: string;
  /** The namespace that the configuration names. */
  readonly namespace?: string | undefined;
  /** For messages: `~/.kube/config, context kind`. */
  readonly source: string;
  /** URL of a proxy (http, https or socks5); without one the variables HTTPS_PROXY and NO_PROXY count. */
  readonly proxy?: string | undefined;
  /** PEM of the authorities to trust besides the public ones. Called again from time to time. */
  readonly authorities?: (() => Promise<string>) | undefined;
  /**
   * Called again from time to time; `rejected` says that the server refused what was returned last (401), so that
   * nothing kept may be returned.
   */
  readonly credentials: (options: { readonly rejected: boolean }) => Promise<Credentials>;
}

/** The configuration cannot be used. The message is one line: where, what, and what to do. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Calls `read` and turns any failure into a `ConfigError` that begins with `where`. */
export async function readConfigured(
  environment: Environment,
  path: string,
  where: string,
): Promise<string> {
  try {
    return await environment.readTextFile(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.name : "Error";
    const remedy = cause instanceof Deno.errors.NotCapable
      ? "this program was made to read nothing there; in a container, mount it below /var/run/secrets"
      : "check the path and its permissions";
    throw new ConfigError(`${where}: cannot read ${path} (${why}); ${remedy}`, { cause });
  }
}

/** Checks that `text` has a PEM certificate in it: Deno takes any other text for an empty list of authorities. */
export function checkCertificates(text: string, where: string): string {
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ConfigError(`${where}: is not a PEM certificate; it must hold a BEGIN CERTIFICATE block`);
  }
  return text;
}

/**
 * The value that NO_PROXY must have for `server` to be reached directly when it is on this machine; undefined when
 * the variable may stay as it is. Deno sends even loopback through HTTPS_PROXY, unlike kubectl.
 */
export function noProxyForLoopback(server: string, noProxy: string | undefined): string | undefined {
  const host = new URL(server).hostname.replace(/^\[|\]$/g, "");
  if (host !== "localhost" && host !== "::1" && !/^127\.\d+\.\d+\.\d+$/.test(host)) return undefined;
  const listed = (noProxy ?? "").split(",").map((entry) => entry.trim()).filter(Boolean);
  return listed.includes(host) ? undefined : [...listed, host].join(",");
}
