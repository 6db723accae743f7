/**
 * `iofog-operator diff`: what a pass would write, without writing anything.
 *
 * Values of Secrets are never shown, only that they differ; keys and certificates are not made.
 */

import { stringify } from "@std/yaml";
import { isRecord } from "../operator/compare.ts";
import type { ParentPlan } from "../operator/plan.ts";
import { describeTarget, type KubernetesWrite } from "../operator/write.ts";
import { assemble, type AssembleOptions } from "./assemble.ts";
import { printError } from "./environment.ts";
import { readEverything } from "./once.ts";

/** Prints the difference; returns 0 when there is none, 1 when there is one, as kubectl diff does. */
export async function diff(
  options: AssembleOptions & { readonly print: (text: string) => void },
): Promise<number> {
  const assembly = await assemble(options);
  try {
    await readEverything(assembly, options.stopping);
    await assembly.engine.observeExternal(options.stopping);
    const plans = assembly.engine.plan();
    const snapshot = assembly.engine.store.snapshot();
    for (const { parent, desired, failures } of plans) {
      const { phase, message } = snapshot.external(parent.metadata.uid);
      const name = `${parent.kind} ${parent.metadata.name}`;
      for (const { field, message: text } of desired.problems) {
        printError(`${name}: ${field === undefined ? "" : `${field} `}${text}\n`);
      }
      for (const { object, message: text } of failures) printError(`${name}: ${object}: ${text}\n`);
      if (phase === "unreachable") {
        printError(`${name}: what is in the Controller is not known: ${message}\n`);
      }
    }
    const text = assembly.redactor.clean(plans.map(render).join(""));
    options.print(text);
    return text === "" ? 0 : 1;
  } finally {
    assembly.close();
  }
}

/** The writes of one plan, readable. */
export function render(plan: ParentPlan): string {
  const kubernetes = plan.waves.flat().map(renderKubernetes);
  const external = plan.external.map((write) => {
    const before = write.observed === undefined
      ? ""
      : lines("-", stringify(pick(write.observed.fields, write.child.fields)));
    return `${write.verb} ${describeTarget(write)} in the Controller\n${before}${
      lines("+", stringify(write.child.fields))
    }`;
  });
  return [...kubernetes, ...external].map((text) => `${text}\n`).join("");
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
      const before = stringify(pick(shown(write.live), shown(write.object))) as string;
      const after = stringify(shown(write.object)) as string;
      const changed = unified(before, after);
      return `${title}~ ${write.paths.join("\n~ ")}\n${changed}`;
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

/** The parts of `live` that `wanted` speaks of. */
function pick(live: unknown, wanted: unknown): unknown {
  if (!isRecord(live) || !isRecord(wanted)) return live ?? null;
  return Object.fromEntries(
    Object.entries(wanted).filter(([key]) => live[key] !== undefined).map((
      [key, value],
    ) => [key, pick(live[key], value)]),
  );
}

function withoutUndefined(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function lines(sign: string, text: string): string {
  return text.trimEnd().split("\n").map((line) => `${sign} ${line}\n`).join("");
}

/** The lines that differ, with the unchanged ones that lead to them left out. */
function unified(before: string, after: string): string {
  const old = new Set(before.split("\n"));
  const fresh = new Set(after.split("\n"));
  const removed = before.split("\n").filter((line) => line !== "" && !fresh.has(line)).map((line) =>
    `- ${line}\n`
  );
  const added = after.split("\n").filter((line) => line !== "" && !old.has(line)).map((line) =>
    `+ ${line}\n`
  );
  return [...removed, ...added].join("");
}
