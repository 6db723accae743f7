/** What the calls of both dialects have in common: options, the check of an answer, and the endpoints that are the same. */

import type { z } from "zod";
import { badResponse } from "./answer.ts";
import { isNotFound } from "./errors.ts";
import {
  configSchema,
  type ControllerStatus,
  type DefaultRouter,
  routerSchema,
  statusSchema,
} from "./schemas.ts";
import type { ControllerRequest, ControllerTransport } from "./transport.ts";

/** What every function takes last. */
export interface CallOptions {
  readonly abortSignal?: AbortSignal | undefined;
}

/** The default router as it is written; ports are 1 to 65535. */
export interface RouterAddress {
  readonly host: string;
  readonly messagingPort: number;
  readonly edgeRouterPort: number;
  readonly interRouterPort: number;
}

/** What both dialects offer. */
export interface CommonCalls {
  /** Needs no login. */
  status(options?: CallOptions): Promise<ControllerStatus>;
  /** The default router, undefined until it has been set. */
  router(options?: CallOptions): Promise<DefaultRouter | undefined>;
  /** Creates or replaces it; the Controller would set ports that are left out to its defaults, so none is. */
  setRouter(router: RouterAddress, options?: CallOptions): Promise<void>;
  /** A value of the Controller's key-value store, undefined where the key is not there. */
  config(key: string, options?: CallOptions): Promise<string | undefined>;
  setConfig(key: string, value: string, options?: CallOptions): Promise<void>;
  /** Closes connections; requests under way are aborted. */
  close(): void;
}

/** Sends requests in somebody's name. */
export interface Sender {
  send(request: ControllerRequest): Promise<unknown>;
}

/** Requests whose answers are checked. */
export interface Requests {
  /** Without a login. */
  bare<T>(schema: z.ZodType<T>, request: ControllerRequest): Promise<T>;
  read<T>(schema: z.ZodType<T>, request: ControllerRequest): Promise<T>;
  write(request: ControllerRequest): Promise<void>;
}

export function createRequests(transport: ControllerTransport, session: Sender): Requests {
  return {
    bare: async (schema, request) => parsed(schema, request, await transport.performRequest(request)),
    read: async (schema, request) => parsed(schema, request, await session.send(request)),
    write: async (request) => void await session.send(request),
  };
}

export function createCommonCalls(
  { bare, read, write }: Requests,
  transport: ControllerTransport,
): CommonCalls {
  return {
    status: (call) => bare(statusSchema, { ...call, method: "GET", route: "/status" }),

    router: (call) => found(read(routerSchema, { ...call, method: "GET", route: "/router" })),

    setRouter: ({ host, messagingPort, edgeRouterPort, interRouterPort }, call) =>
      write({
        ...call,
        method: "PUT",
        route: "/router",
        templated: true,
        bodyJson: { host, messagingPort, edgeRouterPort, interRouterPort },
      }),

    config: async (key, call) => {
      const parameters = { key };
      const entry = await found(
        read(configSchema, { ...call, method: "GET", route: "/config/:key", parameters }),
      );
      return entry?.value;
    },

    setConfig: (key, value, call) =>
      write({ ...call, method: "PUT", route: "/config", templated: true, bodyJson: { key, value } }),

    close: () => transport.close(),
  };
}

/**
 * `answer` as `schema` has it.
 *
 * @param errorOf What is thrown instead of the `ControllerError`.
 */
export function parsed<T>(
  schema: z.ZodType<T>,
  request: ControllerRequest,
  answer: unknown,
  errorOf: (error: unknown) => unknown = (error) => error,
): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  // The paths only: a value may be a secret.
  const paths = result.error.issues.map((issue) => issue.path.join(".") || "the body").join(", ");
  throw errorOf(
    badResponse(`${request.method} ${request.route}`, 200, `missing or of another type: ${paths}`),
  );
}

/** Undefined where the Controller says that there is no such thing. */
export async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    // By name: the HTML 404 of a proxy or of another server must not look as if nothing were set.
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
