/** What the tests of this folder share: the program on a machine and an API server that a test made up. */

import type { Clock } from "../clock.ts";
import { intercept } from "../kubernetes/intercept.ts";
import { machine } from "../kubernetes/testing.ts";
import type { Transport } from "../kubernetes/transport.ts";
import { main } from "./main.ts";

/** A password, and an API token, that no output may show. */
export const password = "Pass-of-nobody-91";
export const token = "sesame-open-token";

/** In namespace `iofog`, on a port at which nobody listens. */
export const kubeconfig = `
apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {cluster: c, user: u, namespace: iofog}
clusters:
- name: c
  cluster: {server: "https://127.0.0.1:9"}
users:
- name: u
  user: {token: ${token}}
`;

/** What came of a command. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A world for the program. */
export interface World {
  /** The API server. @default none: every request is refused */
  readonly api?: Transport;
  readonly variables?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly stopping?: AbortSignal;
  /** Sees standard error as it grows. */
  readonly onError?: (stderr: string) => void;
}

/** Runs the program to its end. */
export async function program(args: readonly string[], world: World = {}): Promise<Result> {
  const { api, clock } = world;
  let [stdout, stderr] = ["", ""];
  const code = await main(args, world.stopping ?? new AbortController().signal, {
    environment: machine({
      files: { "/kubeconfig": kubeconfig, ...world.files },
      variables: { KUBECONFIG: "/kubeconfig", ...world.variables },
    }),
    isTerminal: false,
    print: (text) => void (stdout += text),
    printError: (text) => {
      stderr += text;
      world.onError?.(stderr);
    },
    ...(clock === undefined ? {} : { clock }),
    ...(api === undefined ? {} : { wrapTransport: () => withNamespace(api) }),
  });
  return { code, stdout, stderr };
}

/** The namespace is there, whatever else is. */
function withNamespace(api: Transport): Transport {
  return intercept(
    api,
    (request, proceed) =>
      request.plural === "namespaces" ? Promise.resolve({ kind: "Namespace" }) : proceed(),
  );
}
