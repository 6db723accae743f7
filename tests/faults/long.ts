/** What takes long or needs much of the machine is run by `deno task faults`, and not with every other test. */

import { scenario } from "../e2e/harness.ts";

/** Set by `deno task faults`. */
export const LONG_VARIABLE = "FAULTS_LONG";

/** Whether they are. */
export const isLong = Deno.env.has(LONG_VARIABLE);

/** Like `scenario`, where long tests are wanted; nothing elsewhere. */
export const longScenario: typeof scenario = (...args) => {
  if (isLong) scenario(...args);
};
