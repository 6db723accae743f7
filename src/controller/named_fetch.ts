/**
 * A fetch that expects another name in the server's certificate than that of the address, such as behind a
 * port-forward. Deno's own fetch knows no other name than the address, so this one is made of `node:https`.
 *
 * Guarantees: the certificate is verified, for `serverName`; each request has a connection of its own, and is sent once.
 */

import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { request as sendRequest } from "node:https";

/** @param caPem The authorities to trust; undefined for the public ones. */
export function fetchByName(
  serverName: string,
  caPem: string | undefined,
): (url: string, init: RequestInit) => Promise<Response> {
  return async (url, { body, headers, method, signal }) => {
    const { hostname, pathname, port, search } = new URL(url);
    const bytes = Buffer.from(await new Response(body ?? null).arrayBuffer());
    const sent: Record<string, string> = Object.fromEntries(new Headers(headers));
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = sendRequest({
        hostname: hostname.replace(/^\[|\]$/g, ""),
        port: port === "" ? 443 : Number(port),
        path: `${pathname}${search}`,
        method: method ?? "GET",
        headers: { ...sent, ...(bytes.length > 0 && { "content-length": String(bytes.length) }) },
        servername: serverName,
        agent: false,
        ...(caPem !== undefined && { ca: caPem }),
        ...(signal && { signal }),
      }, resolve);
      request.on("error", reject);
      request.end(bytes);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const status = answer.statusCode ?? 0;
    const received = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined) received.set(name, String(value));
    }
    return new Response(status === 204 || status === 304 ? null : Buffer.concat(chunks), {
      status,
      headers: received,
    });
  };
}
