/** What can go wrong with one request: the right-hand side of the rule table. */

import { type Answer, type Passage, sleep } from "./proxy.ts";

/** What is done with a request instead of just letting it through. */
export type Action = (passage: Passage) => void | Promise<void>;

/** Calls `kill` instead of carrying the request out; the client hears nothing. */
export function endBefore(kill: () => unknown): Action {
  return async (passage) => {
    await kill();
    passage.cut();
  };
}

/** Calls `kill` when the request was carried out; the client hears nothing. */
export function endAfter(kill: () => unknown): Action {
  return async (passage) => {
    await passage.forward();
    await kill();
    passage.cut();
  };
}

/** Carries the request out and loses the answer. */
export const dropResponse: Action = endAfter(() => {});

/** Breaks the connection instead of carrying the request out. */
export const reset: Action = (passage) => passage.cut();

/** Nothing comes, and the connection stays open. */
export const hang: Action = ({ gone }) => sleep(2 ** 31 - 1, gone);

/** Carries the request out after `ms` milliseconds. */
export function delay(ms: number): Action {
  return async (passage) => {
    await sleep(ms, passage.gone);
    await passage.stream();
  };
}

/** This answer instead of carrying the request out, as an API server words it. */
export function refuse(
  status: number,
  reason: string,
  more: { readonly message?: string; readonly retryAfterSeconds?: number; readonly causes?: object[] } = {},
): Action {
  const { message = `played by a test: ${reason}`, retryAfterSeconds, causes } = more;
  const details = causes === undefined ? {} : { details: { causes } };
  const answer = jsonAnswer(status, {
    ...{ kind: "Status", apiVersion: "v1", status: "Failure", code: status, reason, message, metadata: {} },
    ...details,
  });
  const headers = {
    ...answer.headers,
    // An answer without it is not from an API server.
    "audit-id": "00000000-0000-4000-8000-000000000000",
    ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) }),
  };
  return (passage) => passage.reply({ ...answer, headers });
}

/** What stands between somebody and a server when the server is away. */
export function html(status = 503): Action {
  const body = new TextEncoder().encode("<html><body><h1>played by a test</h1></body></html>");
  return (passage) => passage.reply({ status, headers: { "content-type": "text/html" }, body });
}

/** Carries the request out, promises the answer, and sends half of it. */
export const cutShort: Action = async (passage) => passage.replyHalf(await passage.forward());

/** Carries the request out and sends the answer a few bytes at a time. */
export function trickle(bytes: number, pauseMs: number): Action {
  return async (passage) => await passage.trickle(await passage.forward(), bytes, pauseMs);
}

/** Another answer, e.g. one that was given earlier. */
export function replace(answer: (passage: Passage) => Answer | Promise<Answer>): Action {
  return async (passage) => passage.reply(await answer(passage));
}

/** A list in pages: the first one says that more follows, and the token for more has expired. */
export function expireInMidList(): Action {
  return async (passage) => {
    if (passage.request.url.includes("continue=")) return await refuse(410, "Expired")(passage);
    const answer = await passage.forward();
    const list = JSON.parse(new TextDecoder().decode(answer.body));
    passage.reply(
      jsonAnswer(200, {
        ...list,
        metadata: { ...list.metadata, continue: "expires" },
        items: list.items.slice(0, 1),
      }),
    );
  };
}

/** A watch that is open and silent. */
export const silence: Action = (passage) => passage.stream(new TransformStream({ transform: () => {} }));

/** A watch from which the first event that `isMissed` says so about is missing. */
export function missEvent(isMissed: (event: WatchLine) => boolean): Action {
  let rest = "";
  let missed = false;
  const decoder = new TextDecoder();
  return (passage) =>
    passage.stream(
      new TransformStream({
        transform(chunk, controller) {
          const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) {
            const hit: boolean = !missed && line !== "" && isMissed(JSON.parse(line));
            missed ||= hit;
            if (!hit) controller.enqueue(new TextEncoder().encode(`${line}\n`));
          }
        },
      }),
    );
}

/** A line of a watch. */
export interface WatchLine {
  readonly type: string;
  readonly object: { readonly kind?: string; readonly metadata?: { readonly name?: string } };
}

/** An answer in JSON. */
export function jsonAnswer(status: number, body: unknown): Answer {
  return {
    status,
    headers: { "content-type": "application/json" },
    body: new TextEncoder().encode(JSON.stringify(body)),
  };
}
