/**
 * Holds the stand-in and a real Controller 3.0.4 to the same recorded exchanges.
 *
 * With IOFOG_CONTROLLER_URL (e.g. `http://127.0.0.1:51121`) they are sent to that server instead. Its database must be
 * empty: every chapter but the first depends on it. IOFOG_CONTROLLER_TOKEN_SECONDS says how long its tokens live (start
 * it with `Settings_UserTokenExpirationIntervalSeconds`, 3 or so); without it the exchange that waits for an expiry is
 * reported as ignored.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../src/clock.ts";
import { startController } from "./controller.ts";
import { chapters, type Exchange } from "./exchanges.ts";

const realUrl = Deno.env.get("IOFOG_CONTROLLER_URL") ?? "";
const tokenSeconds = Number(Deno.env.get("IOFOG_CONTROLLER_TOKEN_SECONDS") ?? 0);

/** The server under test. */
interface Subject {
  readonly url: string;
  /** Undefined where the wait would be too long. */
  readonly letTokensExpire: (() => Promise<void>) | undefined;
  close(): Promise<void>;
}

Deno.test(`every exchange of a ControlPlane with ${realUrl || "the stand-in"}`, async (t) => {
  const subject = await (realUrl === "" ? standIn() : real());
  const { hostname, port } = new URL(subject.url);
  // Past any HTTP_PROXY; only for tests, so plain HTTP will do.
  const client = Deno.createHttpClient({ proxy: { transport: "tcp", hostname, port: Number(port || 80) } });
  const tokens = new Map<string, string>();
  try {
    if (realUrl !== "") await requireFresh(subject, client);
    for (const chapter of chapters) {
      await t.step(chapter.title, async (t) => {
        for (const [index, exchange] of chapter.exchanges.entries()) {
          const ignore = exchange.afterExpiry === true && subject.letTokensExpire === undefined;
          const name = `${index + 1}. ${exchange.method} ${exchange.path} -> ${exchange.status}`;
          if (ignore) await t.step({ name: `${name} (needs tokens that expire soon)`, ignore, fn: () => {} });
          else await replay(exchange, subject, client, tokens, name);
        }
      });
    }
    await t.step("a GET has a weak ETag, and If-None-Match is answered with 304", async () => {
      const authorization = tokens.get("first") ?? "";
      const url = `${subject.url}/api/v3/router`;
      const full = await fetch(url, { client, headers: { authorization } });
      await full.text();
      const etag = full.headers.get("etag") ?? "";
      assertMatch(etag, /^W\/"[0-9a-f]+-[\w+/]{27}"$/);
      assertMatch(full.headers.get("x-timestamp") ?? "", /^\d{13}$/);
      const again = await fetch(url, { client, headers: { authorization, "if-none-match": etag } });
      assertEquals([again.status, await again.text(), again.headers.get("etag")], [304, "", etag]);
    });
  } finally {
    client.close();
    await subject.close();
  }
});

async function replay(
  exchange: Exchange,
  subject: Subject,
  client: Deno.HttpClient,
  tokens: Map<string, string>,
  name: string,
): Promise<void> {
  if (exchange.afterExpiry) await subject.letTokensExpire?.();
  const headers = new Headers();
  const authorization = authorizationOf(exchange, tokens);
  if (authorization !== undefined) headers.set("authorization", authorization);
  const { body } = exchange;
  if (body !== undefined) headers.set("content-type", "application/json");
  const response = await fetch(`${subject.url}/api/v3${exchange.path}`, {
    client,
    method: exchange.method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isHtml = response.headers.get("content-type")?.startsWith("text/html");
  const answer = text === "" ? undefined : isHtml ? "html" : JSON.parse(text);
  if (exchange.keepToken !== undefined) tokens.set(exchange.keepToken, answer.accessToken);
  const heard = { status: response.status, answer: normalised(answer) };
  assertEquals(heard, { status: exchange.status, answer: exchange.answer }, name);
}

function authorizationOf(exchange: Exchange, tokens: Map<string, string>): string | undefined {
  switch (exchange.as) {
    case undefined:
    case "nobody":
      return undefined;
    case "bearer":
      return `Bearer ${tokens.get("first")}`;
    case "wrong":
      return "0".repeat(64);
    case "empty":
      return "";
    default:
      return tokens.get(exchange.as) ?? "";
  }
}

/** Replaces what differs from run to run by its kind, where it has the right form. */
function normalised(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? null), (key, value) => {
    if (key === "accessToken" && /^[0-9a-f]{64}$/.test(value)) return "<token>";
    if (/^(created|updated)At$/.test(key) && /^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/.test(value)) return "<time>";
    if ((key === "timestamp" || key === "uptimeSec") && typeof value === "number") return "<number>";
    if (key === "stack" && value.includes("\n    at ")) return "<stack>";
    return value;
  }) ?? undefined;
}

async function standIn(): Promise<Subject> {
  let ahead = 0;
  const controller = await startController({ clock: { ...systemClock, now: () => Date.now() + ahead } });
  return {
    url: controller.url,
    letTokensExpire: () => {
      ahead += 3_600_001;
      return Promise.resolve();
    },
    close: () => controller.close(),
  };
}

function real(): Promise<Subject> {
  return Promise.resolve({
    url: realUrl.replace(/\/+$/, ""),
    letTokensExpire: tokenSeconds > 0 ? () => systemClock.sleep(tokenSeconds * 1000 + 500) : undefined,
    close: () => Promise.resolve(),
  });
}

async function requireFresh(subject: Subject, client: Deno.HttpClient): Promise<void> {
  const response = await fetch(`${subject.url}/api/v3/user/login`, {
    client,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "op@example.com", password: "Sup3rSecret!" }),
  });
  await response.text();
  const dependent = chapters.slice(1).map((chapter) => chapter.title).join("; ");
  assert(
    response.status === 401,
    `the Controller at ${subject.url} has been used before; start it with an empty database: ${dependent}`,
  );
}
