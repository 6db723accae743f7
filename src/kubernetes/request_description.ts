/** Reads back from a request what it means: the verb as RBAC has it, the resource and the object. */

import type { RequestOptions } from "./transport.ts";

/** What a request does. `apply` is RBAC's `patch` by server-side apply. */
export type RequestVerb = "get" | "list" | "watch" | "create" | "update" | "patch" | "apply" | "delete";

/** A request in words. */
export interface RequestDescription {
  readonly verb: RequestVerb;
  /** e.g. `deployments`; the whole path for one that is not of a resource, such as `/version`. */
  readonly plural: string;
  /** From the body of a write. */
  readonly kind?: string | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  /** From the path, or for a creation from the body. */
  readonly name?: string | undefined;
}

/** What the request `options` does; pure. */
export function describeRequest(options: RequestOptions): RequestDescription {
  const segments = options.path.split("/").filter(Boolean).map(decodeURIComponent);
  const rest = segments[0] === "api" ? segments.slice(2) : segments[0] === "apis" ? segments.slice(3) : [];
  if (rest.length === 0) return { verb: verbOf(options, true), plural: options.path };
  // `/namespaces/x` and its own subresources are the Namespace; anything longer is in it.
  const inNamespace = rest[0] === "namespaces" && rest.length > 2 && !namespaceSubresources.has(rest[2]!);
  const [plural, pathName, subresource] = inNamespace ? rest.slice(2) : rest;
  const body = bodyOf(options.bodyJson);
  const name = pathName ?? body.metadata?.name;
  return {
    verb: verbOf(options, pathName !== undefined),
    plural: plural!,
    ...(options.method === "DELETE" || body.kind === undefined ? {} : { kind: body.kind }),
    ...(subresource === undefined ? {} : { subresource }),
    ...(inNamespace ? { namespace: rest[1] } : {}),
    ...(name === undefined ? {} : { name }),
  };
}

const namespaceSubresources: ReadonlySet<string> = new Set(["status", "finalize"]);

function verbOf(options: RequestOptions, named: boolean): RequestVerb {
  switch (options.method) {
    case "GET":
      if (options.querystring?.get("watch") === "true") return "watch";
      return named ? "get" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return options.contentType?.startsWith("application/apply-patch") ? "apply" : "patch";
    case "DELETE":
      return "delete";
  }
}

function bodyOf(value: unknown): { kind?: string; metadata?: { name?: string } } {
  return typeof value === "object" && value !== null ? value : {};
}
