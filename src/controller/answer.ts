/**
 * What an HTTP answer of the Controller, or of Keycloak, means: a JSON value, nothing, or a `ControllerError`.
 *
 * JSON is parsed only where the Content-Type says so: unknown routes, malformed bodies and oversized ones are answered
 * in HTML, and so is whatever a proxy in between has to say (seen on Controller 3.0.4).
 */

import { ControllerError } from "./errors.ts";

/** Longest text of the Controller's that goes into a message; some are dumps of its validator. */
const maxDetail = 300;

/** An answer whose body has been read to its end. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/**
 * The JSON value of a success, or undefined where it has no body.
 *
 * @param subject What was asked, for messages, e.g. `PUT /router`.
 * @param secrets Values that no message may show, should the Controller echo them.
 * @param system Who should have answered.
 * @throws ControllerError for anything but a usable success.
 */
export function readAnswer(
  answer: Answer,
  subject: string,
  secrets: readonly string[],
  system = "Controller",
): unknown {
  const { status, text } = answer;
  const isJson = /^application\/(.+\+)?json\b/i.test(answer.contentType);
  const value = isJson ? parse(text) : undefined;
  if (status >= 400 && isRecord(value)) throw refusal(value, status, subject, secrets);
  if (status >= 300) throw badResponse(subject, status, unusable(answer, system));
  if (text === "") return undefined;
  if (value === undefined) throw badResponse(subject, status, unusable(answer, system));
  return value;
}

/** The error for an answer that cannot be used; `what` says why and never quotes it. */
export function badResponse(subject: string, status: number, what: string): ControllerError {
  return new ControllerError(`${subject}: unusable answer: ${what}`, { status, code: "BadResponse" });
}

function refusal(
  value: Record<string, unknown>,
  status: number,
  subject: string,
  secrets: readonly string[],
): ControllerError {
  // 3.7.3 answers 401 and 403 as {"error": ..., "message"?: ...} (from its sources).
  const unnamed = status === 401 ? "Unauthorized" : status === 403 ? "Forbidden" : "Error";
  const code = typeof value.name === "string" && value.name !== "" ? value.name : unnamed;
  const said = [value.message, value.error_description, value.error]
    .find((text) => typeof text === "string" && text !== "");
  const detail = presentable(typeof said === "string" ? withoutDump(said) : "", secrets);
  return new ControllerError(`${subject}: ${code}${detail === "" ? "" : `: ${detail}`}`, {
    status,
    code: presentable(code, secrets),
    detail,
    oauthError: typeof value.error === "string" ? presentable(value.error, secrets) : undefined,
  });
}

/** What its validator says of a whole, without the whole, which it dumps. */
function withoutDump(text: string): string {
  const dump = text.startsWith("{") ? parse(text) : undefined;
  return isRecord(dump) && typeof dump.property === "string" && typeof dump.message === "string"
    ? `${dump.property.replace(/^instance/, "the request")} ${dump.message.replace(/:$/, "")}`
    : text;
}

function presentable(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) {
    for (const form of [secret, JSON.stringify(secret).slice(1, -1)]) {
      if (form !== "") shown = shown.replaceAll(form, "***");
    }
  }
  shown = shown.replace(/\s+/g, " ").trim();
  return shown.length <= maxDetail ? shown : `${shown.slice(0, maxDetail)}…`;
}

function unusable({ status, contentType, text }: Answer, system: string): string {
  if (status >= 300 && status < 400) return `redirected with ${status}, which a ${system} does not do`;
  const kind = contentType.split(";")[0]?.trim() || "no content type";
  const which = status >= 400 ? `not from a ${system}'s API; check the address` : "not complete JSON";
  return `${status} with ${kind} of ${text.length} characters, ${which}`;
}

/** Undefined when `text` is not JSON. The parser's error quotes the text, so it is dropped. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
