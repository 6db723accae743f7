/** Says why a connection failed and what to do about it, from what Deno's fetch says. */

import { ApiError } from "./errors.ts";

/** What Deno says (part of it), what that means, and the remedy. */
const causes: readonly (readonly [RegExp, string])[] = [
  [
    /UnknownIssuer/,
    "its certificate is from an unknown authority; set certificate-authority-data to the server's CA",
  ],
  [
    /CaUsedAsEndEntity/,
    "its certificate is an authority's own, which Deno refuses; give the server a leaf certificate",
  ],
  [/not valid for name/, "its certificate is for other names; use one of those as the server's address"],
  [/Expired|NotValidYet/, "its certificate is not valid now; renew it, or set this machine's clock"],
  [/invalid peer certificate/, "its certificate cannot be verified"],
  [
    /CertificateRequired|certificate required/i,
    "it wants a client certificate; set client-certificate-data and client-key-data",
  ],
  [/received fatal alert/, "it refused the TLS handshake; check the client certificate"],
  [/dns error/, "its name cannot be resolved; check the server's address and DNS"],
  [/Connection refused/, "connection refused; check that it runs, the port, and HTTPS_PROXY and NO_PROXY"],
  [
    /tls handshake eof|InvalidContentType|corrupt message/,
    "it does not speak TLS; check http or https in the address",
  ],
  [/unreachable|timed out/i, "there is no route to it; check the network and HTTPS_PROXY"],
  [/NotCapable|Requires net access/, "this process may not use the network there; run it with --allow-net"],
];

/** The `ApiError` for a failure of `fetch`, or of reading a body, on a request to `server`. */
export function failedConnection(cause: unknown, subject: string, server: string): ApiError {
  const text = describe(cause);
  const known = causes.find(([pattern]) => pattern.test(text))?.[1] ?? "the connection failed or broke";
  return new ApiError(`${subject}: cannot use ${server}: ${known}`, {
    status: 0,
    reason: "Unreachable",
    cause,
  });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error.cause === undefined ? "" : ` ${describe(error.cause)}`;
  return `${error.name} ${error.message}${inner}`;
}
