/**
 * Reads `metav1.Status`, which the API server sends instead of an object when a request failed.
 *
 * The server's messages are kept, since they tell what to do, except where the request was about Secrets: there they
 * may quote a value, so only the reason and the names of the fields at fault are kept, and what a quota says.
 */

import * as z from "zod";
import { ApiError } from "./errors.ts";

const statusSchema = z.object({
  kind: z.literal("Status"),
  message: z.string().optional().catch(undefined),
  reason: z.string().optional().catch(undefined),
  code: z.int().optional().catch(undefined),
  details: z.object({
    causes: z.array(z.object({
      reason: z.string().optional(),
      message: z.string().optional(),
      field: z.string().optional(),
    })).nullish().catch(undefined),
    retryAfterSeconds: z.number().nonnegative().optional().catch(undefined),
  }).nullish().catch(undefined),
});

/** What is known about a failed request besides its body. */
export interface FailedRequest {
  /** Names the request in the message: method and path. */
  readonly subject: string;
  /** HTTP status; the one in the body wins where it has one. */
  readonly status: number;
  /** From the header `Retry-After`. */
  readonly retryAfterMs?: number | undefined;
}

/** Whether `body` is a `metav1.Status`. */
export function isApiStatus(body: unknown): boolean {
  return statusSchema.safeParse(body).success;
}

/** What to do about a 401, whose own message is "Unauthorized". */
const credentialsRefused =
  "the server does not accept the credentials: renew the token or client certificate";

/** The error for a request that the server answered with `body`, which need not be a `metav1.Status`. */
export function statusError(body: unknown, request: FailedRequest): ApiError {
  const parsed = statusSchema.safeParse(body);
  if (!parsed.success) {
    const said = request.status === 401 ? credentialsRefused : "without details";
    return new ApiError(`${request.subject}: HTTP ${request.status} ${said}`, {
      status: request.status,
      reason: reasonOf(request.status),
      retryAfterMs: request.retryAfterMs,
    });
  }
  const { code, details, message, reason } = parsed.data;
  const status = code === undefined || code < 400 ? request.status : code;
  const secret = concernsSecrets(request.subject);
  const causes = (details?.causes ?? []).map((cause) => secret ? { ...cause, message: undefined } : cause);
  const said = status === 401
    ? credentialsRefused
    : secret && !isQuotaMessage(message)
    ? causes.map((cause) => cause.field ?? "").filter(Boolean).join(", ")
    : message ?? "";
  const seconds = details?.retryAfterSeconds;
  return new ApiError(
    `${request.subject}: ${status} ${reason ?? reasonOf(status)}${said === "" ? "" : `: ${said}`}`,
    {
      status,
      reason: reason || reasonOf(status),
      causes,
      retryAfterMs: seconds === undefined ? request.retryAfterMs : seconds * 1000,
    },
  );
}

/** Names, counts and nothing of the object but its name. */
function isQuotaMessage(message: string | undefined): boolean {
  return /^secrets "[^"]*" is forbidden: exceeded quota: [^"]*$/.test(message ?? "");
}

/** Whether the path in `subject` is one of Secrets. */
export function concernsSecrets(subject: string): boolean {
  return /\/secrets(\/|$)/.test(subject);
}

/** `metav1.StatusReason` for answers without one. */
function reasonOf(status: number): string {
  return reasons[status] ?? (status >= 500 ? "InternalError" : "Unknown");
}

const reasons: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  409: "Conflict",
  410: "Expired",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};
