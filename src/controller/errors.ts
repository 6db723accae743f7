/**
 * The error class of this boundary, and a subclass for the Keycloak that a Controller of 3.7 trusts.
 *
 * The Controller says what went wrong in the JSON property `name`; its HTTP status is often 500 for what is a client's
 * mistake (seen on Controller 3.0.4), so `code` decides and `status` only informs. A message tells what was
 * asked and what the Controller said, cut to 300 characters; it never holds a request body, a token, or HTML.
 */

/** Codes of ours, for when the Controller gave no usable answer. Every other code is its JSON `name`. */
export type TransportCode =
  /** No connection, or it broke. */
  | "Unreachable"
  /** Its certificate cannot be verified. */
  | "Untrusted"
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
  /** What OAuth calls it, e.g. `invalid_client`. */
  readonly oauthError?: string | undefined;
  readonly cause?: unknown;
}

/** A request to the Controller failed. */
export class ControllerError extends Error {
  override readonly name: string = "ControllerError";
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly oauthError: string | undefined;

  constructor(message: string, init: ControllerErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.status = init.status;
    this.code = init.code;
    this.detail = init.detail ?? "";
    this.oauthError = init.oauthError;
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get retryable(): boolean {
    if (["Unreachable", "Untrusted", "DeadlineExceeded"].includes(this.code)) return true;
    if (this.code === "Aborted" || this.code === "NotLoggedIn" || terminal.has(this.code)) return false;
    // What is left is a half-sent answer or an accident inside the Controller, such as a busy database.
    return (this.status >= 200 && this.status < 300) || this.status === 408 || this.status === 429 ||
      this.status >= 500;
  }
}

/** What Keycloak itself can have against a request; with the transport's own codes, all that a `KeycloakError` has. */
export type KeycloakCode =
  /** The realm has no such client, its secret is another, or it has no service account. */
  | "InvalidClient"
  | "RealmNotFound"
  /** The token was issued by another realm, or under another address, than the Controller is told to trust. */
  | "OtherIssuer"
  /** The client may not do this, e.g. update clients. */
  | "Forbidden"
  /** There is no client of that id to update. */
  | "ClientNotFound"
  /** Anything else that it refused. */
  | "Refused";

/** A request to Keycloak failed. */
export class KeycloakError extends ControllerError {
  override readonly name: string = "KeycloakError";
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
  "TokenRefused",
  "InvalidClient",
  "RealmNotFound",
  "OtherIssuer",
  "ClientNotFound",
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

/** What was to be made is there already; 3.7.3 says so with a 500. */
export function isConflict(error: unknown): error is ControllerError {
  return hasCode(error, "ConflictError");
}

/** The Controller's access control knows the caller, but allows this to another role only. */
export function isForbidden(error: unknown): error is ControllerError {
  return hasCode(error, "Forbidden");
}

function hasCode(error: unknown, code: string): error is ControllerError {
  return error instanceof ControllerError && error.code === code;
}
