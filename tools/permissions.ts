/**
 * The one place that says what the operator may do on its machine: the least that works, in two variants.
 *
 * `local` is for a person's machine: `deno task operator`, `deno task dev`, and the binary of `deno task compile`.
 * `container` is for the image: `deno task compile --container`. Tests run the program with them, and take each away.
 * Printed as one line when run, for the task.
 *
 * - Network: everywhere, since the addresses of the API server and of the ioFog Controller are only known at run time.
 * - Environment: the names that are read; whatever a library asks for besides is simply not set.
 * - Files: `local` reads everywhere, since a kubeconfig and the certificates and tokens that it names may lie anywhere;
 *   `container` reads what is mounted where Kubernetes mounts the token of the service account.
 * - Programs: `local` runs any, since a kubeconfig may name any credential plugin; `container` runs none.
 * - No writing of files, no native code, no information about the system, no prompts.
 */

/** Where the program runs. */
export type Variant = "local" | "container";

/** Environment variables that the program reads in a container. */
const CONTAINER_VARIABLES: readonly string[] = [
  "CONTROLLER_URL",
  "HOSTNAME",
  "KUBERNETES_SERVICE_HOST",
  "KUBERNETES_SERVICE_PORT",
  "POD_NAME",
  "RELATED_IMAGE_CONTROLLER",
  "RELATED_IMAGE_PORT_MANAGER",
  "RELATED_IMAGE_POT_CONTROLLER",
  "RELATED_IMAGE_POT_NATS",
  "RELATED_IMAGE_POT_ROUTER",
  "RELATED_IMAGE_PROXY",
  "RELATED_IMAGE_ROUTER",
  "WATCH_NAMESPACE",
];

/**
 * Environment variables that the program reads: in a container, and those that lead a person to a kubeconfig and keep an
 * API server on the same machine away from a proxy. (Deno itself uses the proxy that they name without any permission.)
 */
export const ENVIRONMENT_VARIABLES: readonly string[] = [
  ...CONTAINER_VARIABLES,
  "HOME",
  "HTTPS_PROXY",
  "https_proxy",
  "KUBECONFIG",
  "NO_PROXY",
  "no_proxy",
];

/** All that a container may read: tokens, and whatever else is mounted below. */
export const CONTAINER_FILES = "/var/run/secrets";

/** The flags for `deno run` and `deno compile`. */
export function operatorPermissions(variant: Variant = "local"): string[] {
  const [access, variables] = variant === "local"
    ? [["--allow-read", "--allow-run"], ENVIRONMENT_VARIABLES]
    : [[`--allow-read=${CONTAINER_FILES}`], CONTAINER_VARIABLES];
  return ["--no-prompt", "--allow-net", ...access, `--allow-env=${variables.join(",")}`, "--ignore-env"];
}

if (import.meta.main) console.log(operatorPermissions().join(" "));
