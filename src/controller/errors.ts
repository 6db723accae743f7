/**
 * The one error class of this boundary.
 *
 * The Controller says what went wrong in the JSON property `name`; its HTTP status is often 500 for what is a client's
 * mistake (seen on Controller 3.0.4), so `code` decides and `status` only informs. A message tells what was
 * asked and what the Controller said, cut to 300 characters; it never holds a request body, a token, or HTML.
 */

/** Codes of ours, for when the Controller gave no usable answer. Every other code is its JSON `name`. */
export type TransportCode =
  /** No connection, or it broke. */
  | "Unreachable"
  | "DeadlineExceeded"
  /** HTML, JSON cut off or without what it must have, a redirect. */
  | "BadResponse"
  /** The caller's signal, or `close()`. */
  | "Aborted"
  /** A call that needs a login came before any login had succeeded. */
  | "NotLoggedIn";

/** What is known about a failed request. */
export interface ControllerErrorInit {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** A `TransportCode`, or the Controller's `name`, e.g. `ValidationError`. */
  readonly code: TransportCode | (string & Record<never, never>);
  /** What the Controller itself said, already cut; empty where it said nothing. */
  readonly detail?: string | undefined;
  readonly cause?: unknown;
}

/** A request to the Controller failed. */
export class ControllerError extends Error {
  override readonly name = "ControllerError";
  readonly status: number;
  readonly code: string;
  readonly detail: string;

  constructor(message: string, init: ControllerErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.status = init.status;
    this.code = init.code;
    this.detail = init.detail ?? "";
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get retryable(): boolean {
    if (this.code === "Unreachable" || this.code === "DeadlineExceeded") return true;
    if (this.code === "Aborted" || this.code === "NotLoggedIn" || terminal.has(this.code)) return false;
    // What is left is a half-sent answer or an accident inside the Controller, such as a busy database.
    return (this.status >= 200 && this.status < 300) || this.status === 408 || this.status === 429 ||
      this.status >= 500;
  }
}

/** Names that stand for a mistake in the request, whatever the HTTP status (seen on 3.0.4). */
const terminal: ReadonlySet<string> = new Set([
  "ValidationError",
  "AuthenticationError",
  "InvalidCredentialsError",
  "NotFoundError",
  "DuplicatePropertyError",
  "SequelizeUniqueConstraintError",
  "SequelizeForeignKeyConstraintError",
  "ConflictError",
  "InvalidArgumentError",
  "ForbiddenError",
  "TypeError",
  "YAMLException",
]);

/** Unknown e-mail and wrong password alike. */
export function isInvalidCredentials(error: unknown): error is ControllerError {
  return hasCode(error, "InvalidCredentialsError");
}

/** Sign-up with an e-mail that has an account; the Controller has no name of its own for it. */
export function isAccountExists(error: unknown): error is ControllerError {
  return hasCode(error, "ValidationError") && error.detail.includes("already an account associated");
}

/** Password change with an old password that is not the account's. */
export function isOldPasswordIncorrect(error: unknown): error is ControllerError {
  return hasCode(error, "ValidationError") && error.detail.includes("Old password is incorrect");
}

/** The token is unknown, expired, or missing (3.0.4 answers a missing header with a 500 of its database layer). */
export function isTokenRejected(error: unknown): error is ControllerError {
  if (hasCode(error, "AuthenticationError") || hasCode(error, "Unauthorized")) return true;
  return hasCode(error, "Error") && error.detail.startsWith('WHERE parameter "token"');
}

/** What was asked for does not exist. An unknown route (HTML) is not meant: that is a `BadResponse`. */
export function isNotFound(error: unknown): error is ControllerError {
  return hasCode(error, "NotFoundError");
}

function hasCode(error: unknown, code: string): error is ControllerError {
  return error instanceof ControllerError && error.code === code;
}
