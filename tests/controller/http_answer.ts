/**
 * Answers as Express 4 forms them: its HTML error pages, weak ETags, and 304 for a GET that has the current one.
 */

import { createHash } from "node:crypto";

/** What goes back to the client. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `value` as JSON; no body where it is undefined. A GET or HEAD whose `If-None-Match` fits becomes a 304. */
export function jsonAnswer(
  status: number,
  value: unknown,
  request: { readonly method: string; readonly ifNoneMatch: string | undefined },
): HttpAnswer {
  if (value === undefined) return { status, headers: {}, body: "" };
  const body = JSON.stringify(value);
  const etag = weakEtag(body);
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (isRead && status < 300 && request.ifNoneMatch === etag) {
    return { status: 304, headers: { etag }, body: "" };
  }
  return { status, headers: { "content-type": "application/json; charset=utf-8", etag }, body };
}

/** The page for what never reaches a handler: unknown routes, malformed or oversized bodies. */
export function htmlAnswer(status: number, text: string): HttpAnswer {
  const shown = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const body =
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n' +
    `<body>\n<pre>${shown}</pre>\n</body>\n</html>\n`;
  const headers = {
    "content-security-policy": "default-src 'none'",
    "content-type": "text/html; charset=utf-8",
  };
  return { status, headers, body };
}

function weakEtag(body: string): string {
  const bytes = new TextEncoder().encode(body);
  const hash = createHash("sha1").update(bytes).digest("base64").slice(0, 27);
  return `W/"${bytes.length.toString(16)}-${hash}"`;
}
