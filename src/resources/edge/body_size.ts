/** Whether what makes an object in the Controller is more than that takes at once. Pure. */

import type { EdgeDialect } from "../../controller/edge.ts";
import { escapeLiquid } from "../../controller/liquid.ts";
import type { ExternalChild } from "../../operator/definition.ts";
import type { Blocked } from "./assessment.ts";
import { callsOf } from "./calls.ts";
import * as reasons from "./reasons.ts";

/** Bytes; above, it answers 413 (express's default of 100 kB). */
const LARGEST_BODY = 102_400;
/** Bytes in the body for one character of the fields, at most: that is what an escaped brace takes. */
const mostBytes = 12;

/** Why the Controller would not read the body with which `child` is made. */
export function sizeProblem(child: ExternalChild, dialect: EdgeDialect): Blocked | undefined {
  if (JSON.stringify([child.fields, child.secrets]).length * mostBytes <= LARGEST_BODY) return undefined;
  const write = { world: "external", verb: "create", child, observed: undefined, paths: [] } as const;
  const size = callsOf(write, { dialect, uuidOf: () => undefined })
    .map(({ bodyJson }) => new TextEncoder().encode(JSON.stringify(escapeLiquid(bodyJson))).length)
    .reduce((one, other) => Math.max(one, other), 0);
  if (size <= LARGEST_BODY) return undefined;
  const message = `with all that its spec says it takes ${size} bytes, and the Controller takes ` +
    `${LARGEST_BODY} at once: shorten it, or have it read elsewhere`;
  return { reason: reasons.TOO_LARGE, message };
}
