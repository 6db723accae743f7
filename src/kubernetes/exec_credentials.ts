/**
 * Credential plugins of a kubeconfig (`user.exec`): programs that print an `ExecCredential`.
 *
 * A plugin is run without a terminal, when credentials are first needed, after they expired and after a 401. What it
 * prints is never shown.
 */

import { join } from "node:path";
import * as z from "zod";
import type { Clock } from "../clock.ts";
import {
  ConfigError,
  type ConnectionConfig,
  type Credentials,
  type Environment,
} from "./connection_config.ts";

/** `user.exec` of a kubeconfig. */
export const execSchema = z.object({
  apiVersion: z.enum(["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]),
  command: z.string().min(1),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  interactiveMode: z.enum(["Never", "IfAvailable", "Always"]).nullish(),
  installHint: z.string().nullish(),
  provideClusterInfo: z.boolean().nullish(),
});

/** What a plugin is told of the cluster when it asks (`provideClusterInfo`). */
export interface ExecCluster {
  readonly server: string;
  readonly "certificate-authority-data"?: string | undefined;
  readonly "proxy-url"?: string | undefined;
  readonly config?: unknown;
}

/** What running a plugin takes. */
export interface ExecContext {
  readonly environment: Environment;
  /** The words before every message. */
  readonly label: string;
  /** A command with a slash in it is relative to this folder, the kubeconfig's. */
  readonly directory: string;
  readonly cluster: ExecCluster;
  readonly clock: Clock;
}

const credentialSchema = z.object({
  apiVersion: z.string(),
  kind: z.literal("ExecCredential"),
  status: z.object({
    token: z.string().min(1).optional(),
    clientCertificateData: z.string().min(1).optional(),
    clientKeyData: z.string().min(1).optional(),
    expirationTimestamp: z.iso.datetime({ offset: true }).nullish(),
  }),
});

/**
 * The provider of the credentials that the plugin `exec` prints; kept until they expire or are rejected.
 *
 * @throws ConfigError at once for a plugin that needs a terminal; from the provider when the plugin cannot be run or
 * prints something else.
 */
export function execCredentials(
  exec: z.infer<typeof execSchema>,
  context: ExecContext,
): ConnectionConfig["credentials"] {
  const where = `${context.label}: exec`;
  if (exec.interactiveMode === "Always") {
    throw new ConfigError(
      `${where}: ${exec.command} wants a terminal; use a token or a plugin that needs none`,
    );
  }
  let kept: { readonly credentials: Credentials; readonly expiresAt: number } | undefined;
  return async ({ rejected }) => {
    if (kept !== undefined && !rejected && context.clock.now() < kept.expiresAt) return kept.credentials;
    kept = undefined;
    return (kept = read(await run(exec, context, where), exec, where)).credentials;
  };
}

async function run(exec: z.infer<typeof execSchema>, context: ExecContext, where: string): Promise<string> {
  const { args, command, env, installHint, provideClusterInfo } = exec;
  const info = {
    apiVersion: exec.apiVersion,
    kind: "ExecCredential",
    spec: { interactive: false, ...(provideClusterInfo ? { cluster: context.cluster } : {}) },
  };
  const variables = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  const relative = command.includes("/") && !command.startsWith("/");
  try {
    return await context.environment.run(relative ? join(context.directory, command) : command, args ?? [], {
      ...variables,
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) {
      throw new ConfigError(
        `${where}: this program was made to run no other, so not ${command}; use a service account or a token`,
        { cause },
      );
    }
    const missing = cause instanceof Deno.errors.NotFound;
    const hint = installHint?.replaceAll(/\s+/g, " ").trim();
    const remedy = hint ? hint : missing ? "install it" : "run it by hand to see why";
    // Not the cause's message: it may hold what the plugin printed.
    throw new ConfigError(`${where}: ${command} ${missing ? "was not found" : "failed"}; ${remedy}`, {
      cause,
    });
  }
}

function read(
  output: string,
  exec: z.infer<typeof execSchema>,
  where: string,
): { credentials: Credentials; expiresAt: number } {
  const parsed = credentialSchema.safeParse(json(output));
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join(".") || "its output";
    throw new ConfigError(
      `${where}: ${exec.command} printed no valid ExecCredential (${field}); update the plugin`,
    );
  }
  const { apiVersion, status } = parsed.data;
  if (apiVersion !== exec.apiVersion) {
    throw new ConfigError(
      `${where}: ${exec.command} printed another apiVersion than ${exec.apiVersion}; set exec.apiVersion to the plugin's`,
    );
  }
  const { clientCertificateData: certificate, clientKeyData: key, expirationTimestamp, token } = status;
  if ((certificate === undefined) !== (key === undefined) || (token === undefined && key === undefined)) {
    throw new ConfigError(
      `${where}: ${exec.command} printed neither a token nor a certificate with its key; update the plugin`,
    );
  }
  return {
    credentials: {
      authorization: token === undefined ? undefined : `Bearer ${token}`,
      clientCertificate: certificate === undefined || key === undefined ? undefined : { certificate, key },
    },
    expiresAt: expirationTimestamp ? Date.parse(expirationTimestamp) : Infinity,
  };
}

/** Undefined when `output` is not JSON. */
function json(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}
