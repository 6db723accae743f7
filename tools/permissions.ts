/**
 * The one place that says what the operator may do on its machine.
 *
 * `deno task operator` runs the source with these flags, `deno task compile` bakes them into the binary, and tests run
 * the bundled program with them. Printed as one line when run, for the task.
 *
 * - Network: everywhere, since the addresses of the API server and of the ioFog Controller are only known at run time.
 * - Environment: the names that are read; whatever a library asks for besides is simply not set.
 * - Files: reading everywhere, since a kubeconfig and the certificates and tokens that it names may lie anywhere.
 * - Programs: any, since a kubeconfig may name any credential plugin. In the image there is none to run.
 * - No writing of files, no native code, no information about the system, no prompts.
 */

/** Environment variables that the program reads. */
export const ENVIRONMENT_VARIABLES: readonly string[] = [
  "CONTROLLER_URL",
  "HOME",
  "HOSTNAME",
  "HTTPS_PROXY",
  "https_proxy",
  "KUBECONFIG",
  "KUBERNETES_SERVICE_HOST",
  "KUBERNETES_SERVICE_PORT",
  "NO_PROXY",
  "no_proxy",
  "POD_NAME",
  "RELATED_IMAGE_CONTROLLER",
  "RELATED_IMAGE_PORT_MANAGER",
  "RELATED_IMAGE_PROXY",
  "RELATED_IMAGE_ROUTER",
  "WATCH_NAMESPACE",
];

/** The flags for `deno run` and `deno compile`. */
export function operatorPermissions(): string[] {
  return [
    "--no-prompt",
    "--allow-net",
    "--allow-read",
    "--allow-run",
    `--allow-env=${ENVIRONMENT_VARIABLES.join(",")}`,
    "--ignore-env",
  ];
}

if (import.meta.main) console.log(operatorPermissions().join(" "));
