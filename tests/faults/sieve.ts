/**
 * Sieve's method: each scenario once clean, then once for each write with a crash before it, once with a crash after
 * it, and once for each list with a stale answer; what it comes to, and what it takes, must be as in the clean run.
 *
 * A plan names a write by verb, kind, name and how many-th it is of that name, since writes go in parallel. A crash
 * is a dead transport and a fresh engine. A stale answer is the list as it was before the scenario began, for the
 * first list of a kind as it was before anything was installed.
 */

import { describeStatus, present } from "../e2e/harness.ts";
import { eventually, pause, timed } from "../e2e/waiting.ts";
import { endAfter, endBefore, replace } from "./actions.ts";
import { differences, type EndState, isAtRest, readEndState } from "./end_state.ts";
import type { Answer, Exchange, Match, ProxiedRequest } from "./proxy.ts";
import type { Scenario } from "./scenario.ts";
import type { Trial, TriedOperator, World } from "./trial.ts";

/** What a clean run came to and took. */
export interface CleanRun {
  readonly scenario: Scenario;
  readonly endState: EndState;
  /** How often each thing was written. */
  readonly writes: ReadonlyMap<string, number>;
  /** How often each object had another content. */
  readonly contents: ReadonlyMap<string, number>;
  readonly plans: readonly Plan[];
}

/** One fault at one place. */
export type Plan =
  & {
    readonly name: string;
    readonly nth: number;
    readonly on: Match;
    /** Which of the two servers is asked. */
    readonly server: "api" | "controller";
  }
  & ({ readonly fault: "crash before" | "crash after" } | {
    readonly fault: "stale";
    readonly list: ListRequest;
  });

/** A list as it was asked for. */
interface ListRequest {
  readonly url: string;
  readonly accept: string;
}

/** What came of a plan; no violations means that it passed. */
export interface PlanResult {
  readonly plan: Plan;
  readonly violations: readonly string[];
  /** Milliseconds. */
  readonly tookMs: number;
}

/** Milliseconds for a run to come to its end. */
const WITHIN_MS = 120_000;
/** Milliseconds without a write after which a clean run is over. */
const QUIET_MS = 500;
/** Milliseconds that a named write may keep one waiting when all else is done: the Lease is renewed every 2 s. */
const LATE_MS = 5_000;

/** e.g. `crash after create secrets/router-ca #1`. */
export function describePlan({ fault, name, nth }: Plan): string {
  return `${fault} ${name} #${nth}`;
}

/** Runs a scenario without any fault. */
export async function runClean(world: World, scenario: Scenario): Promise<CleanRun> {
  await using trial = await world.openTrial();
  await install(trial, scenario);
  const contentsBefore = contentsOf(trial);
  const operator = await trial.start();
  await untilIdle(trial, operator);
  await scenario.happens(trial);
  await untilDone(trial, scenario);
  await relist(operator);
  await untilDone(trial, scenario);
  const endState = await readEndState(trial);
  await operator.stop();
  const violations = [
    ...world.historyOf(trial.namespace).violations,
    ...idleStatuses(operator.api.exchanges),
  ];
  if (violations.length > 0) throw new Error(`${scenario.name}: ${violations.join("; ")}`);
  const exchanges = { api: operator.api.exchanges, controller: operator.controller.exchanges };
  return {
    scenario,
    endState,
    writes: countWrites([...exchanges.api, ...exchanges.controller]),
    contents: new Map([...contentsOf(trial)].map(([key, n]) => [key, n - (contentsBefore.get(key) ?? 0)])),
    plans: (["api", "controller"] as const).flatMap((server) => plansFor(server, exchanges[server])),
  };
}

/** Runs a scenario with one fault; what is not as in the clean run is a violation. */
export async function runPlan(world: World, clean: CleanRun, plan: Plan): Promise<PlanResult> {
  let violations: readonly string[] = [];
  const tookMs = await timed(async () => {
    // What comes in another number each time, such as a status, may come less often than in the clean run.
    const tries: Plan[] = Array.from(
      { length: plan.nth },
      (_, index) => ({ ...plan, nth: plan.nth - index }),
    );
    // And what an Event says of a change depends on when it is seen: then any Event will do.
    const { plural, reason: _, ...anyReason } = plan.on;
    if (plural === "events") tries.push({ ...plan, nth: 1, on: { ...anyReason, plural } });
    for (const each of tries) {
      const found = await tryPlan(world, clean, each).catch((error) => [describeError(error)]);
      violations = found ?? [`there was no ${plan.name}`];
      if (found !== undefined) return;
    }
  });
  return { plan, violations, tookMs };
}

/** Returns undefined when what the plan names did not happen. */
async function tryPlan(world: World, clean: CleanRun, plan: Plan): Promise<readonly string[] | undefined> {
  const { scenario } = clean;
  await using trial = await world.openTrial();
  const stale = plan.fault === "stale" ? [await readList(trial, plan.list)] : [];
  await install(trial, scenario);
  if (plan.fault === "stale" && plan.nth > 1) stale[0] = await readList(trial, plan.list);
  let hit = false;
  const crashed = new AbortController();
  const begin = (operator: TriedOperator) => {
    const kill = () => {
      hit = true;
      operator.die();
      crashed.abort();
    };
    const old = () => {
      hit = true;
      return present(stale[0]);
    };
    operator[plan.server].rule({
      on: plan.on,
      nth: plan.nth,
      action: plan.fault === "stale"
        ? replace(old)
        : plan.fault === "crash before"
        ? endBefore(kill)
        : endAfter(kill),
    });
  };
  const contentsBefore = contentsOf(trial);
  const first = await trial.start(begin);
  let latest = first;
  const succession = Promise.withResolvers<void>();
  succession.promise.catch(() => {});
  const succeed = async () => {
    await first.stop().catch(() => {});
    await trial.freeLease();
    latest = await trial.start();
  };
  crashed.signal.addEventListener("abort", () => succession.resolve(succeed()));
  /** Waits for what one operator does, unless it dies meanwhile. */
  const unlessDead = async (wait: (operator: TriedOperator, isOver: () => boolean) => Promise<void>) => {
    const operator = latest;
    await wait(operator, () => operator === first && crashed.signal.aborted);
    if (crashed.signal.aborted) await succession.promise;
  };
  await unlessDead((operator, isOver) => untilIdle(trial, operator, isOver));
  await untilIdle(trial, latest);
  await scenario.happens(trial);
  await untilDone(trial, scenario, clean.endState);
  await unlessDead(relist);
  if (plan.fault !== "stale" && !hit) await pause(LATE_MS, crashed.signal);
  if (!hit) return undefined;
  if (plan.fault !== "stale") await succession.promise;
  await untilDone(trial, scenario, clean.endState);
  await latest.stop();
  return [
    ...world.historyOf(trial.namespace).violations,
    ...excessiveWrites(clean, plan, countWrites(trial.exchanges())),
    ...idleStatuses(trial.exchanges()),
    ...excessiveContents(clean, contentsBefore, contentsOf(trial)),
    ...trial.operators.flatMap(({ lines }) => lines.filter((line) => line.includes('"pass failed"'))),
  ];
}

async function install(trial: Trial, scenario: Scenario): Promise<void> {
  await scenario.prepare?.(trial);
  if (scenario.installed === undefined) return;
  await trial.create(scenario.installed);
  const operator = await trial.start();
  await untilDone(trial, { ...scenario, isDone: () => Promise.resolve(true) });
  await operator.stop();
  trial.operators.length = 0;
}

/** Waits until an operator knows everything and has nothing to do, or `isOver`. */
async function untilIdle(trial: Trial, operator: TriedOperator, isOver = () => false): Promise<void> {
  await eventually(
    "the operator to be idle",
    async () =>
      isOver() ||
      listed(operator).size > requiredKinds(trial) && await isAtRest(trial),
    Boolean,
    { withinMs: WITHIN_MS },
  );
}

/** Kinds of children that every cluster has. */
function requiredKinds({ flavour: { definition: { childResources, optional = [] } } }: Trial): number {
  return childResources.filter((resource) => !optional.includes(resource)).length;
}

function listed({ api }: TriedOperator): ReadonlySet<string> {
  return new Set(api.seen(lists).filter(({ status }) => status === 200).map(({ request }) => request.plural));
}

/** Waits until a scenario has come to its end, and to `expected`. */
async function untilDone(trial: Trial, scenario: Scenario, expected?: EndState): Promise<void> {
  let why: readonly string[] = ["not at rest"];
  let quietSince = performance.now();
  let writes = 0;
  await eventually(
    "its end",
    async () => {
      const { size } = new Set(trial.exchanges().filter(isWrite));
      if (size !== writes) quietSince = performance.now();
      writes = size;
      if (!await isAtRest(trial) || await scenario.isDone?.(trial) === false) {
        const object = await trial.controlPlane();
        why = ["not at rest", object === undefined ? "no ControlPlane" : describeStatus(object)];
        return false;
      }
      if (expected === undefined) return performance.now() - quietSince > QUIET_MS;
      why = differences(expected, await readEndState(trial));
      return why.length === 0;
    },
    Boolean,
    { withinMs: WITHIN_MS, show: () => why.join("; ") },
  );
}

/** Breaks every watch, and waits until every kind has been listed again, or `isOver`. */
async function relist({ api }: TriedOperator, isOver = () => false): Promise<void> {
  const count = () => {
    const counts = new Map<string, number>();
    for (const { request, status } of api.seen(lists)) {
      if (status === 200) counts.set(request.plural, (counts.get(request.plural) ?? 0) + 1);
    }
    return counts;
  };
  // What is not watched yet would not notice.
  const watched = () => new Set([...api.watches.values()].map(({ plural }) => plural));
  const isWatched = (now: ReadonlySet<string>) => [...count().keys()].every((plural) => now.has(plural));
  await eventually("every kind to be watched", watched, (now) => isOver() || isWatched(now), {
    withinMs: WITHIN_MS,
    show: (now) => [...now].join(),
  });
  const before = count();
  api.cutAll();
  await eventually(
    "every kind to be listed again",
    () => [...count()].filter(([plural, n]) => n <= (before.get(plural) ?? 0)).map(([plural]) => plural),
    (missing) => isOver() || missing.length === 0 && count().size > 0,
    { withinMs: WITHIN_MS },
  );
}

const lists: Match = { verb: "list", url: /^\/apis?\/(?!.*fieldSelector)/ };

/** The list itself, asked by us. */
async function readList(trial: Trial, { accept, url }: ListRequest): Promise<Answer> {
  const { adminToken, caPem, url: server } = trial.world.cluster;
  const client = Deno.createHttpClient({ caCerts: [caPem], http2: false });
  try {
    const response = await fetch(`${server}${url.replace("{namespace}", trial.namespace)}`, {
      client,
      headers: { accept, authorization: `Bearer ${adminToken}` },
    });
    const body = new Uint8Array(await response.arrayBuffer());
    return { status: response.status, headers: { "content-type": "application/json" }, body };
  } finally {
    client.close();
  }
}

/** Every write twice, every list once. */
function plansFor(server: Plan["server"], exchanges: readonly Exchange[]): readonly Plan[] {
  const counts = new Map<string, number>();
  return exchanges.flatMap(({ request, status }): Plan[] => {
    const on = matchOf(request);
    const name = describeMatch(on);
    const isList = server === "api" && request.verb === "list" && !request.url.includes("fieldSelector");
    if (status >= 400 || !(isList || isWrite({ request }))) return [];
    const nth = (counts.get(name) ?? 0) + 1;
    // A Lease is renewed all the time: once stands for all.
    if (request.plural === "leases" && nth > 1) return [];
    counts.set(name, nth);
    if (isList) {
      const url = request.url.replace(`/${request.namespace}/`, "/{namespace}/");
      return [{ name, nth, on, server, fault: "stale", list: { url, accept: request.accept } }];
    }
    return [
      { name, nth, on, server, fault: "crash before" },
      { name, nth, on, server, fault: "crash after" },
    ];
  });
}

/** Logging in changes nothing that lasts. */
function isWrite({ request: { name, plural, verb } }: Pick<Exchange, "request">): boolean {
  return !["get", "list", "watch"].includes(verb) && !(plural === "user" && name === "login");
}

function matchOf({ name = "", plural, reason, subresource = "", verb }: ProxiedRequest): Match {
  if (plural === "events") return { verb, plural, reason };
  if (verb === "list") return { verb, plural, url: /^(?!.*fieldSelector)/ };
  return { verb, plural, name, subresource };
}

function describeMatch({ name = "", plural, reason = "", subresource, verb }: Match): string {
  const object = [plural, name || reason, subresource].filter(Boolean).join("/");
  return `${verb} ${object}`;
}

/** Writes that were carried out, those aside whose number is another each time. */
function countWrites(exchanges: readonly Exchange[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { carriedOut, request } of exchanges) {
    if (!carriedOut || !isWrite({ request }) || ["events", "leases"].includes(request.plural)) continue;
    const name = describeMatch(matchOf(request));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/**
 * How many more writes than in the clean run are fine: the one that is repeated; of the inventory, one more for the
 * batch that is begun again; of the status, what each operator finds on its way, which pods and addresses decide that
 * come at any time (each says something new: see `idleStatuses`); of JetStream's key, one for each claim
 * that comes apart from the others, since they own it; of what configures NATS, one more where an operator begins before
 * it has heard the Controller.
 */
function excessiveWrites(
  clean: CleanRun,
  plan: Plan,
  writes: ReadonlyMap<string, number>,
): readonly string[] {
  return [...writes].flatMap(([name, count]) => {
    const expected = clean.writes.get(name) ?? 0;
    const repeated = name === plan.name && plan.fault === "crash after" ? 1 : 0;
    const more = name.endsWith("/status")
      ? 10
      : name === "update configmaps/iofog-inventory" || name.startsWith("apply secrets/nats-jetstream-key-")
      ? 2
      : name.startsWith("apply configmaps/iofog-nats-")
      ? 1 + repeated
      : repeated;
    return count > expected + more ? [`${name} ${count} times instead of ${expected}`] : [];
  });
}

/** Statuses that were written although they said what the one before did: at no time is nothing a reason to write. */
function idleStatuses(exchanges: readonly Exchange[]): readonly string[] {
  const said = new Map<string, string>();
  return exchanges.flatMap(({ carriedOut, request: { body, plural, subresource, verb } }) => {
    if (!carriedOut || verb !== "update" || subresource !== "status") return [];
    const { metadata, status } = JSON.parse(new TextDecoder().decode(body)) as {
      readonly metadata: { readonly name: string; readonly uid: string };
      readonly status: unknown;
    };
    const text = JSON.stringify(status, (key, value) => key === "lastTransitionTime" ? undefined : value);
    const isIdle = said.get(metadata.uid) === text;
    said.set(metadata.uid, text);
    return isIdle ? [`the status of ${plural}/${metadata.name} was written again without a difference`] : [];
  });
}

function contentsOf(trial: Trial): ReadonlyMap<string, number> {
  const { contents } = trial.world.historyOf(trial.namespace);
  return new Map([...contents].map(([key, versions]) => [key, versions.length]));
}

/** Nothing that is generated or holds data is replaced more often than in the clean run. */
function excessiveContents(
  clean: CleanRun,
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): readonly string[] {
  return [...after].flatMap(([key, count]) => {
    const changes = count - (before.get(key) ?? 0);
    const expected = clean.contents.get(key) ?? 0;
    return changes > expected ? [`${key} was replaced: ${changes} contents instead of ${expected}`] : [];
  });
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
