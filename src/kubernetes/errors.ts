/**
 * The one error class of this boundary.
 *
 * A message tells what was asked, of which object, and what the server said; it never holds a request or response
 * body, since that may be a Secret's. The server's own message is kept unless the object is a Secret.
 */

/** One entry of `metav1.StatusDetails.causes`. */
export interface StatusCause {
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly field?: string | undefined;
}

/** What is known about a failed request. */
export interface ApiErrorInit {
  /** HTTP status; 0 when there was no usable answer. */
  readonly status: number;
  /** `metav1.Status.reason`, or `Unreachable`, `DeadlineExceeded`, `BadResponse`, `Aborted` for status 0. */
  readonly reason: string;
  readonly causes?: readonly StatusCause[] | undefined;
  /** Milliseconds that the server asks to wait. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A request to the API server failed. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly StatusCause[];
  readonly retryAfterMs: number | undefined;

  constructor(message: string, init: ApiErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.status = init.status;
    this.reason = init.reason;
    this.causes = init.causes ?? [];
    this.retryAfterMs = init.retryAfterMs;
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** Whether a cause with this reason is present, e.g. `NamespaceTerminating`. */
  hasCause(reason: string): boolean {
    return this.causes.some((cause) => cause.reason === reason);
  }
}

/** Whether `error` is an `ApiError` with this HTTP status. */
export function isStatus(error: unknown, status: number): error is ApiError {
  return error instanceof ApiError && error.status === status;
}
