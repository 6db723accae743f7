/** The way of a walk: where one field is taken, one value after the other, and back. Knows no kind of custom resource. */

import type { JsonSchema } from "../../src/resources/structural_schema.ts";
import { SHORTEST_SECRET } from "../secrets.ts";
import { absent, type Field, type Question, valuesOf } from "./fields.ts";

/** What is known of a field beforehand. */
export interface Known {
  /** E.g. `images.router`; its place below the spec. */
  readonly field: string;
  /** Accepted values to begin with, where a word or a small number would not do. */
  readonly examples?: readonly unknown[];
  /**
   * What becomes of values beside the examples that have the right form: they are as good; too much for a test; refused,
   * since they name what is not there or would change what cannot change; or as those in `told`. @default "accepted"
   */
  readonly others?: "accepted" | "untried" | "refused" | "told";
  /** Values that are followed, but lead nowhere as the world is: a condition that is no refusal tells of the field. */
  readonly told?: readonly unknown[];
  /** Values to be refused, beside those that follow from the type. */
  readonly refused?: readonly unknown[];
  /** Without the field the custom resource waits for it, and a condition says so. */
  readonly isAwaited?: boolean;
  /** Its values are kept out of all that is said. */
  readonly isSecret?: boolean;
}

/** One step of the way. */
export interface Step {
  /**
   * `change` to a value that has to be accepted; `tell` of one that leads nowhere; `refuse` one that must not be; `remove` the field, by `absent` or a
   * value that says the same; `wait` for the field that was removed; `return` to the value that it had.
   */
  readonly type: "change" | "tell" | "refuse" | "remove" | "wait" | "return";
  /** `absent` where there is none. */
  readonly value: unknown;
  /** Whether what the field is for changes with it. */
  readonly effect: boolean;
}

/**
 * See the module; `secrets` are those among the values that may not appear anywhere.
 *
 * @param emptyIsAbsent Whether "" and 0 say the same as nothing.
 */
export function stepsOf(
  known: Known,
  field: Field,
  before: unknown,
  accepts: Question,
  emptyIsAbsent = true,
): { readonly steps: readonly Step[]; readonly secrets: readonly string[] } {
  const { examples = [], isAwaited, isSecret, others = "accepted", refused = [], told = [] } = known;
  const values = valuesOf(field, accepts, [...examples, ...told]);
  const rest = values.accepted.filter((value) => !examples.includes(value) && !told.includes(value));
  const changes = [...examples, ...others === "accepted" ? rest : []];
  const leadingNowhere = [...told, ...others === "told" ? rest : []];
  const misfits = others === "refused" ? rest : [];
  const steps: Step[] = [
    ...changes.map((value) => ({ type: "change", value, effect: true } as const)),
    ...leadingNowhere.map((value) => ({ type: "tell", value, effect: true } as const)),
    ...[...misfits, ...values.refused, ...refused].map((value) =>
      ({ type: "refuse", value, effect: false }) as const
    ),
    { type: "return", value: before, effect: changes.length + leadingNowhere.length > 0 },
  ];
  // An enumeration has no "".
  const { type, enum: words } = field.schema as JsonSchema & { readonly enum?: unknown };
  const isText = type === "string" && words === undefined;
  const empty = !emptyIsAbsent ? [] : isText ? [""] : type === "integer" ? [0] : [];
  let isSet = before !== absent;
  for (const value of [absent, ...empty].filter((value) => value !== before)) {
    if (isAwaited) steps.push({ type: "wait", value, effect: false });
    else if (!accepts(value)) steps.push({ type: "refuse", value, effect: false });
    else {
      steps.push({ type: "remove", value, effect: isSet });
      isSet = false;
    }
  }
  if (before !== absent) steps.push({ type: "return", value: before, effect: !isSet });
  const secrets = isSecret
    ? steps.map(({ value }) => value).filter((value) =>
      typeof value === "string" && value.length >= SHORTEST_SECRET
    )
    : [];
  return { steps, secrets: secrets as readonly string[] };
}
