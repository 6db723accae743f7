/**
 * `iofog-operator diff`: what a pass would write, without writing anything.
 *
 * Values of Secrets are never shown, only that they differ; keys and certificates are not made.
 */

import { stringify } from "@std/yaml";
import type { Resource } from "../kubernetes/resource.ts";
import { mergeRuleAt } from "../kubernetes/schema.ts";
import { isRecord } from "../operator/compare.ts";
import type { ParentPlan } from "../operator/plan.ts";
import { describeTarget, type ExternalWrite, type KubernetesWrite } from "../operator/write.ts";
import { assemble, type AssembleOptions } from "./assemble.ts";
import { readEverything } from "./once.ts";

/** Prints the difference; returns 0 when there is none, 1 when there is one, 2 for a spec that cannot be accepted, as kubectl diff does. */
export async function diff(
  options: AssembleOptions & {
    readonly print: (text: string) => void;
    readonly printError: (text: string) => void;
  },
): Promise<number> {
  const assembly = await assemble(options);
  try {
    await readEverything(assembly, options.stopping);
    await assembly.engine.observeExternal(options.stopping);
    const plans = assembly.engine.plan();
    const snapshot = assembly.engine.store.snapshot();
    for (const { parent, desired, failures, paused } of plans) {
      const { phase, message } = snapshot.external(parent.metadata.uid);
      const say = (text: string) =>
        options.printError(assembly.redactor.clean(`${parent.kind} ${parent.metadata.name}: ${text}\n`));
      for (const { field, message: text } of desired.problems) {
        say(field === undefined ? text : `${field} ${text}`);
      }
      for (const { object, message: text } of failures) say(`${object}: ${text}`);
      if (paused) say("paused by its annotation: nothing of this is written until that is removed");
      if (phase === "unreachable") say(`what is in the Controller is not known: ${message}`);
    }
    const { deletions, held } = await assembly.engine.surplus(options.stopping);
    for (const sentence of held) options.printError(assembly.redactor.clean(`${sentence}\n`));
    const surplus = deletions.map((write) => `${renderExternal(write)}\n`);
    const text = assembly.redactor.clean([...plans.map(render), ...surplus].join(""));
    options.print(text);
    // A spec that cannot be accepted is an error and not "no difference".
    if (plans.some(({ desired }) => desired.problems.length > 0)) return 2;
    return text === "" ? 0 : 1;
  } finally {
    assembly.close();
  }
}

/** The writes of one plan, readable. */
export function render(plan: Pick<ParentPlan, "waves" | "external">): string {
  const kubernetes = plan.waves.flat().map(renderKubernetes);
  const external = plan.external.map(renderExternal);
  return [...kubernetes, ...external].map((text) => `${text}\n`).join("");
}

function renderExternal(write: ExternalWrite): string {
  const title = `${write.verb} ${describeTarget(write)} in the Controller\n`;
  if (write.verb === "delete") return title;
  const { fields } = write.child;
  if (write.observed === undefined) return `${title}${lines("+", stringify(fields))}`;
  const before = stringify(pick(write.observed.fields, fields, undefined));
  return `${title}~ ${write.paths.join("\n~ ")}\n${changedLines(before, stringify(fields))}`;
}

function renderKubernetes(write: KubernetesWrite): string {
  const title = `${write.live === undefined ? "create" : write.verb === "delete" ? "delete" : "update"} ${
    describeTarget(write)
  }\n`;
  switch (write.verb) {
    case "delete":
      return title;
    case "adopt":
      return `${title}~ ${write.paths.join("\n~ ")}\n`;
    case "create":
    case "replace":
      return write.live === undefined
        ? `${title}${lines("+", stringify(shown(write.object)))}`
        : `${title}~ made again: ${write.paths.join("; ")}\n`;
    case "apply": {
      if (write.live === undefined) return `${title}${lines("+", stringify(shown(write.object)))}`;
      const wanted = shown(write.object);
      const before = stringify(pick(shown(write.live), wanted, write.resource));
      return `${title}~ ${write.paths.join("\n~ ")}\n${changedLines(before, stringify(wanted))}`;
    }
  }
}

/** The object as it may be shown: without values of Secrets and what the server fills in. */
function shown(object: object): Record<string, unknown> {
  const { status: _, ...rest } = object as Record<string, unknown>;
  const metadata = isRecord(rest["metadata"]) ? rest["metadata"] : {};
  const { managedFields: _fields, uid: _uid, resourceVersion: _version, ...named } = metadata;
  const data = rest["kind"] === "Secret" && isRecord(rest["data"])
    ? { data: Object.fromEntries(Object.keys(rest["data"]).map((key) => [key, "***"])) }
    : {};
  return withoutUndefined({ ...rest, metadata: named, ...data }) as Record<string, unknown>;
}

/** The parts of `live` that `wanted` speaks of, in its order; items of lists are matched as an apply matches them. */
function pick(
  live: unknown,
  wanted: unknown,
  resource: Resource | undefined,
  path: readonly string[] = [],
): unknown {
  if (Array.isArray(live) && Array.isArray(wanted)) {
    const rule = resource && mergeRuleAt(resource, path);
    if (rule?.type !== "map") return live;
    const keyOf = (item: unknown, key: string) =>
      isRecord(item) ? item[key] ?? rule.defaults?.[key] : undefined;
    return wanted.flatMap((item) => {
      const found = live.find((other) => rule.keys.every((key) => keyOf(item, key) === keyOf(other, key)));
      return found === undefined ? [] : [pick(found, item, resource, path)];
    });
  }
  if (!isRecord(live) || !isRecord(wanted)) return live ?? null;
  return Object.fromEntries(
    Object.entries(wanted)
      .filter(([key]) => live[key] !== undefined)
      .map(([key, value]) => [key, pick(live[key], value, resource, [...path, key])]),
  );
}

function withoutUndefined(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function lines(sign: string, text: string): string {
  return text.trimEnd().split("\n").map((line) => `${sign} ${line}\n`).join("");
}

/** The lines that differ, without those around them: the paths above tell where they are. */
function changedLines(before: string, after: string): string {
  const old = before.trimEnd().split("\n");
  const fresh = after.trimEnd().split("\n");
  // Length of the longest common part of what follows each pair of lines.
  const common = Array.from({ length: old.length + 1 }, () => new Array<number>(fresh.length + 1).fill(0));
  const at = (row: number, column: number) => common[row]?.[column] ?? 0;
  for (let row = old.length - 1; row >= 0; row--) {
    for (let column = fresh.length - 1; column >= 0; column--) {
      common[row]![column] = old[row] === fresh[column]
        ? at(row + 1, column + 1) + 1
        : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  let text = "";
  for (let row = 0, column = 0; row < old.length || column < fresh.length;) {
    if (row < old.length && column < fresh.length && old[row] === fresh[column]) {
      row++;
      column++;
    } else if (row < old.length && (column === fresh.length || at(row + 1, column) >= at(row, column + 1))) {
      text += `- ${old[row++]}\n`;
    } else text += `+ ${fresh[column++]}\n`;
  }
  return text;
}
