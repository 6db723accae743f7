/**
 * From a request to its answer, in the order of the Controller's own middleware (`server.js`): body parser,
 * routing, Liquid rendering, handler. Nothing here knows of sockets or faults.
 */

import { Refusal } from "./bearer.ts";
import type { HttpRequest } from "./faulty_server.ts";
import { htmlAnswer, type HttpAnswer, jsonAnswer } from "./http_answer.ts";
import { noticeSilence } from "./agent_protocol_routes.ts";
import { findersFor } from "./finders.ts";
import { renderBody } from "./rendering.ts";
import type { Route, World } from "./route.ts";
import { routes } from "./routes.ts";
import { Failure } from "./validation.ts";

/** The body parser's limit, "100kb". */
const maxBodyBytes = 102_400;

/** The answer, and the body as it was parsed (before rendering) for those who compare. */
export async function answerRequest(
  request: HttpRequest,
  world: World,
): Promise<{ readonly answer: HttpAnswer; readonly body: unknown }> {
  const parsed = parseBody(request);
  if ("refusal" in parsed) return { answer: parsed.refusal, body: undefined };
  const body = structuredClone(parsed.value);
  const answer = await route(request, parsed.value ?? {}, world);
  // Set after the body parser, which is why its refusals lack it.
  const stamped = { ...answer, headers: { "x-timestamp": `${world.clock.now()}`, ...answer.headers } };
  return { answer: stamped, body };
}

async function route(request: HttpRequest, body: unknown, world: World): Promise<HttpAnswer> {
  const found = find(request, world);
  if (found === "malformed") return htmlAnswer(400, "Bad Request");
  if (found === undefined) return htmlAnswer(404, `Cannot ${request.method} ${request.path}`);
  const { route, parameters } = found;
  noticeSilence(world);
  const forEtag = { method: request.method, ifNoneMatch: request.headers["if-none-match"] };
  try {
    const { authorization } = request.headers;
    if (route.templated) {
      // Who asks without a token that is known finds nothing, and is refused after this.
      const token = world.state.tokens.find(({ token }) => token === authorization);
      const known = world.version === "3.7.3" || token !== undefined;
      await renderBody(body, known ? findersFor(world, token?.userId) : {});
    }
    const query = new URLSearchParams(request.query);
    const value = await route.handle(world, {
      method: request.method,
      path: request.path.toLowerCase().replace(/^\/api\/v3/, ""),
      parameters,
      body,
      query,
      authorization,
    });
    return jsonAnswer(route.success, value, forEtag);
  } catch (error) {
    if (error instanceof Refusal) return jsonAnswer(error.status, error.body, forEtag);
    if (!(error instanceof Failure)) throw error;
    const status = route.failures?.[error.name] ?? 500;
    const { name, message } = error;
    const stack = status === 500 ? { stack: `${name}: ${message}\n    at stand-in` } : {};
    return jsonAnswer(status, route.bodyless ? undefined : { name, message, ...stack }, forEtag);
  }
}

/** Express matches paths without regard to case and to a slash at the end, and lets GET routes answer HEAD. */
function find(
  { method, path }: HttpRequest,
  { version }: World,
): { route: Route; parameters: Record<string, string> } | "malformed" | undefined {
  for (const wanted of method === "HEAD" ? ["HEAD", "GET"] : [method]) {
    for (const route of routes) {
      if (route.method !== wanted || (route.only ?? version) !== version) continue;
      const pattern = `^/api/v3${route.path.replace(/:(\w+)/g, "(?<$1>[^/]+)")}/?$`;
      const match = new RegExp(pattern, "i").exec(path);
      if (match === null) continue;
      try {
        const escaped = Object.entries(match.groups ?? {});
        const parameters = Object.fromEntries(
          escaped.map(([key, value]) => [key, decodeURIComponent(value)]),
        );
        return { route, parameters };
      } catch {
        return "malformed";
      }
    }
  }
  return undefined;
}

/** Only objects and arrays are JSON to the body parser; what is not declared as JSON or a form is not looked at. */
function parseBody({ headers, body }: HttpRequest): { value: unknown } | { refusal: HttpAnswer } {
  const type = headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  const isForm = type === "application/x-www-form-urlencoded";
  if (body.length === 0 || (type !== "application/json" && !isForm)) return { value: undefined };
  if (body.length > maxBodyBytes) return { refusal: htmlAnswer(413, "Payload Too Large") };
  const text = new TextDecoder().decode(body);
  if (isForm) return { value: Object.fromEntries(new URLSearchParams(text)) };
  try {
    if (/^\s*[[{]/.test(text)) return { value: JSON.parse(text) };
  } catch {
    // Refused below.
  }
  return { refusal: htmlAnswer(400, "Bad Request") };
}
