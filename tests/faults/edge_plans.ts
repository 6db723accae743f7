/**
 * Sieve's method over the edge: each scenario once clean, then once for each write with a crash before it, once with a
 * crash after it, to Kubernetes and to the Controller alike, and once for each list with an older answer.
 *
 * The API server is a real one, or for the suite's share one in memory; the stand-in Controller is a server. A crash is a
 * process of which nothing arrives any more, and another one that knows nothing but what it reads.
 */

import type { CommonCalls } from "../../src/controller/calls.ts";
import { ConfigMap, Event, Secret } from "../../src/kubernetes/generated/core_v1.ts";
import { describeRequest } from "../../src/kubernetes/request_description.ts";
import type { RequestOptions, Transport } from "../../src/kubernetes/transport.ts";
import { type EdgeGroup, edgeKinds, edgeResourceOf } from "../../src/resources/edge/crds.ts";
import { contentsOf, differences } from "../controller/edge_contents.ts";
import type { EdgeTest } from "../edge/edge_world.ts";

/** What people do at the edge. */
export interface EdgeScenario {
  readonly name: string;
  /** Decides which Controller there is; 3.7.3 does part of its work only after its answers. */
  readonly group: EdgeGroup;
  /** What stands there before, at rest. */
  prepare(edge: EdgeTest): void;
  happens(edge: EdgeTest): void;
}

/** One fault at one place: the how-many-th request of all is hit. */
export interface EdgePlan {
  readonly fault: "crash before" | "crash after" | "stale";
  /** e.g. `POST /iofog #2` or `update configmaps/iofog-inventory #1`. */
  readonly at: string;
}

/** What a run came to. */
interface Outcome {
  readonly contents: unknown;
  readonly statuses: readonly string[];
  readonly inventory: readonly string[];
  readonly secrets: readonly string[];
  /** How often each thing was written. */
  readonly writes: ReadonlyMap<string, number>;
  readonly asked: readonly Asked[];
}

/** A request that can be hit. */
interface Asked {
  readonly at: string;
  readonly isWrite: boolean;
}

/** Makes a place of its own for each run, held where it can be. */
type Open = () => Promise<EdgeTest>;

/** e.g. `crash after POST /iofog #1`. */
export const describeEdgePlan = ({ at, fault }: EdgePlan) => `${fault} ${at}`;

/** All plans of a scenario, and what the clean run came to. */
export async function edgePlansOf(scenario: EdgeScenario, open: Open) {
  const clean = await run(scenario, open);
  const plans = clean.asked.flatMap(({ at, isWrite }): EdgePlan[] =>
    isWrite ? [{ fault: "crash before", at }, { fault: "crash after", at }] : [{ fault: "stale", at }]
  );
  return { clean, plans };
}

/** Runs a scenario with one fault; gives what is not as in the clean run. */
export async function tryEdgePlan(
  scenario: EdgeScenario,
  clean: Outcome,
  plan: EdgePlan,
  open: Open,
): Promise<readonly string[]> {
  const found = await run(scenario, open, plan);
  const more = [...found.writes].flatMap(([what, count]) => {
    const expected = clean.writes.get(what) ?? 0;
    return count > expected + allowance(what, plan, scenario)
      ? [`${what} ${count} times instead of ${expected}`]
      : [];
  });
  return [
    ...differences(clean.contents, found.contents),
    ...differences(clean.statuses, found.statuses),
    ...differences(clean.inventory, found.inventory),
    ...differences(clean.secrets, found.secrets),
    ...more,
  ];
}

/** Creations never come twice. What is repeated is the write that was hit; what is only noted may come more often. */
function allowance(what: string, { at, fault }: EdgePlan, { group }: EdgeScenario): number {
  if (/configmaps|\/status|events/.test(what)) return Infinity;
  if (what.includes("provisioning-key")) return 1;
  // A link goes with what an older answer has replaced again.
  if (fault === "stale" && what.endsWith("/link")) return 1;
  if (what.startsWith("POST")) return 0;
  // Of what 3.7.3 has still to do behind its answer to a change, nobody else can know: the same is asked again.
  if (group === "datasance.com" && what.startsWith("PATCH /iofog/")) return fault === "stale" ? 2 : 1;
  // The Controller has no versions to tell by: what an older answer says is written, and then written back.
  if (fault === "stale") return what.startsWith("PATCH") ? 2 : 1;
  return fault === "crash after" && at.startsWith(`${what} #`) ? 1 : 0;
}

async function run(scenario: EdgeScenario, open: Open, plan?: EdgePlan): Promise<Outcome> {
  await using edge = await open();
  scenario.prepare(edge);
  await untilQuiet(edge, 2);
  const process = new MortalProcess(edge, plan);
  edge.restart({ transport: process, client: process.client });
  // It knows everything, and has nothing to do, before anything happens.
  await edge.converge().catch(() => {});
  process.begin();
  scenario.happens(edge);
  edge.controller.forgetRequests();
  await untilQuiet(edge, 2, process);
  const heir = new MortalProcess(edge);
  heir.begin();
  if (process.isDead) edge.restart({ transport: heir, client: heir.client });
  await untilQuiet(edge, 3);
  if (plan?.fault === "stale") {
    // An older answer may be the last of all: what follows from it is put right with the next.
    process.end();
    await untilQuiet(edge, 1);
  }
  await edge.look();
  const { data } = edge.api.get(ConfigMap, "iofog-inventory") ?? {};
  const entries = JSON.parse(data?.["entries"] ?? "[]") as Record<string, unknown>[];
  return {
    contents: contentsOf(edge.controller.state),
    statuses: edgeKinds.flatMap((kind) =>
      edge.api.all(edgeResourceOf(kind, edge.group)).map(({ metadata }) =>
        `${kind} ${metadata?.name} ${edge.condition(kind, metadata?.name ?? "")}`
      )
    ).toSorted(),
    inventory: entries.map(({ confirmed, kind, name }) => `${kind} ${name} ${confirmed}`).toSorted(),
    secrets: edge.api.all(Secret).map(({ data = {}, metadata }) =>
      `Secret ${metadata?.name} ${Object.keys(data).toSorted()}`
    ).toSorted(),
    writes: countOf([...process.carriedOut, ...heir.carriedOut]),
    asked: process.asked,
  };
}

/** More rounds than anything here takes. */
const mostRounds = 12;

/**
 * Passes until nothing is written and the Controller has done what it does behind its answers: that it does only once
 * there was another look, so that whoever comes after a crash finds it still at work.
 *
 * @param rounds At least so many.
 */
async function untilQuiet(edge: EdgeTest, rounds: number, process?: MortalProcess): Promise<void> {
  for (let round = 1; round <= mostRounds; round++) {
    const calls = await edge.converge().catch((error) => {
      if (process === undefined) throw error;
      return [];
    });
    if (process?.isDead === true) return;
    const done = await edge.settle();
    if (calls.length + done === 0 && round >= rounds) return;
  }
}

function countOf(names: readonly string[]): ReadonlyMap<string, number> {
  return new Map([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));
}

/** One process: everything that it asks goes through here, until it dies of its plan. */
class MortalProcess implements Transport {
  readonly asked: Asked[] = [];
  readonly carriedOut: string[] = [];
  readonly client: CommonCalls;
  isDead = false;
  #begun = false;
  readonly #counts = new Map<string, number>();
  readonly #older = new Map<string, unknown>();

  constructor(private readonly edge: EdgeTest, private readonly plan?: EdgePlan) {
    const { client } = edge;
    const change: CommonCalls["edge"]["change"] = (request) =>
      this.#pass(
        `${request.method} ${this.#nameOf(request.route, request.parameters)}`,
        true,
        () => client.edge.change(request),
      );
    const list = <Call extends (...given: never[]) => Promise<unknown>>(name: string, call: Call): Call =>
      ((...given) => this.#pass(`GET ${name}`, false, () => call(...given))) as Call;
    this.client = {
      ...client,
      edge: {
        ...client.edge,
        change,
        agents: list("agents", client.edge.agents),
        applications: list("applications", client.edge.applications),
        edgeResources: list("edgeResources", client.edge.edgeResources),
        provisioningKey: (uuid, call) =>
          this.#pass("GET provisioning-key", true, () => client.edge.provisioningKey(uuid, call)),
      },
    };
  }

  /** With names for uuids, which are others each time. */
  #nameOf(route: string, parameters: Readonly<Record<string, string>> = {}): string {
    const { agents, microservices } = this.edge.controller.state;
    const named = (uuid: string | undefined) =>
      [...agents, ...microservices].find((row) => row.uuid === uuid)?.name ?? "gone";
    return route.replace(
      /:(\w+)/g,
      (whole, name: string) => name === "uuid" ? named(parameters[name]) : parameters[name] ?? whole,
    );
  }

  /** From now on requests are counted, and one of them is hit. */
  begin(): void {
    this.#begun = true;
  }

  /** From now on nothing is hit. */
  end(): void {
    this.#begun = false;
  }

  performRequest(
    options: RequestOptions & { readonly expectStream: true },
  ): Promise<ReadableStream<Uint8Array>>;
  performRequest(options: RequestOptions): Promise<unknown>;
  performRequest(options: RequestOptions): Promise<unknown> {
    const { name = "", plural, subresource = "", verb } = describeRequest(options);
    const isWrite = !["get", "list", "watch"].includes(verb);
    const work = () => this.edge.api.performRequest(options);
    // Reads of one object are consistent by contract; Events have names of their own.
    if (verb === "get" || verb === "watch" || options.querystring?.has("fieldSelector")) {
      return this.#alive(work);
    }
    const object = [plural, plural === Event.plural ? "" : name, subresource].filter(Boolean).join("/");
    return this.#pass(`${verb} ${object}`, isWrite, work);
  }

  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) throw new TypeError("connection refused");
    return await work();
  }

  async #pass<T>(what: string, isWrite: boolean, work: () => Promise<T>): Promise<T> {
    if (!this.#begun) {
      const answer = await this.#alive(work);
      if (!isWrite) this.#older.set(what, answer);
      return answer;
    }
    if (this.isDead) throw new TypeError("connection refused");
    const nth = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.set(what, nth);
    const at = `${what} #${nth}`;
    this.asked.push({ at, isWrite });
    const isHit = this.plan?.at === at;
    // Nobody had asked the Controller before there was something: it held nothing.
    if (isHit && this.plan?.fault === "stale") return (this.#older.get(what) ?? []) as T;
    if (isHit && this.plan?.fault === "crash before") this.isDead = true;
    const answer = await this.#alive(work);
    if (isWrite) this.carriedOut.push(what);
    if (isHit && this.plan?.fault === "crash after") {
      this.isDead = true;
      throw new TypeError("connection reset");
    }
    return answer;
  }
}
