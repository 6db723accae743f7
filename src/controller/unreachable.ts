/** Says why a connection to the Controller or Keycloak failed and what to do about it, from what Deno's fetch says. */

import { ControllerError } from "./errors.ts";

/** What Deno's fetch says, or `node:https` (part of it), what that means, and the remedy; of what is about a certificate, and of the rest. */
const untrusted: readonly (readonly [RegExp, string])[] = [
  [
    /UnknownIssuer|unable to (verify|get)|self.signed/,
    "its certificate is from an unknown authority; trust that authority's certificate",
  ],
  [
    /CaUsedAsEndEntity/,
    "its certificate is an authority's own, which Deno refuses; give the Controller a leaf certificate",
  ],
  [
    /not valid for name|does not match certificate/,
    "its certificate is for other names; use one of those as the address",
  ],
  [
    /Expired|NotValidYet|has expired|not yet valid/,
    "its certificate is not valid now; renew it, or set this machine's clock",
  ],
  [/invalid peer certificate/, "its certificate cannot be verified"],
];
const unreachable: readonly (readonly [RegExp, string])[] = [
  [/Connection refused/, "connection refused; check that it runs, and its port"],
  [/dns error/, "its name cannot be resolved; check the address and DNS"],
  [/InvalidContentType|corrupt message/, "it does not speak TLS; check http or https in the address"],
  [/unreachable|timed out/i, "there is no route to it; check the network, HTTPS_PROXY and NO_PROXY"],
  [/NotCapable|Requires net access/, "this process may not use the network there; run it with --allow-net"],
];

/** The `ControllerError` for a failure of `fetch` on a request to `server`. */
export function failedConnection(cause: unknown, subject: string, server: string): ControllerError {
  const text = describeFailure(cause);
  const about = (known: typeof untrusted) => known.find(([pattern]) => pattern.test(text))?.[1];
  const certificate = about(untrusted);
  const known = certificate ?? about(unreachable) ?? "the connection broke";
  return new ControllerError(`${subject}: cannot use ${server}: ${known}`, {
    status: 0,
    code: certificate === undefined ? "Unreachable" : "Untrusted",
    cause,
  });
}

function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error.cause === undefined ? "" : ` ${describeFailure(error.cause)}`;
  return `${error.name} ${error.message}${inner}`;
}
