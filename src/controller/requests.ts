/** Requests in somebody's name whose answers are checked against a schema. */

import type * as z from "zod";
import { badResponse } from "./answer.ts";
import { isNotFound } from "./errors.ts";
import type { ControllerRequest, ControllerTransport } from "./transport.ts";

/** What every function takes last. */
export interface CallOptions {
  readonly abortSignal?: AbortSignal | undefined;
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
