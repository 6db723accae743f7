/**
 * What the secret scan of `deno task test` works on: the secrets that tests use, and everything that the program says.
 *
 * Tests register each password, token and key that they make up, and record what they capture: the output of
 * processes, logs, Events, statuses, metrics. After the last test the scan looks for each of those secrets in all of
 * that. Without `deno task test` around them both functions do nothing.
 */

/** Names the file that secrets are appended to, one JSON string per line. */
export const SECRETS_VARIABLE = "IOFOG_TEST_SECRETS";
/** Names the file that outputs are appended to, one JSON object `{source, text}` per line. */
export const OUTPUTS_VARIABLE = "IOFOG_TEST_OUTPUTS";

/** Shorter ones would be found everywhere; the Controller takes none either. */
export const SHORTEST_SECRET = 8;

/** Something that somebody said. */
export interface RecordedOutput {
  /** Who said it, e.g. `operator stderr` or `Event default/iofog.18`; stands in the message when it holds a secret. */
  readonly source: string;
  readonly text: string;
}

/**
 * Has the scan look for `value`; returns it.
 *
 * @throws {RangeError} when it is shorter than eight characters, and so could not be told from other text
 */
export function registerSecret(value: string): string {
  if (value.length < SHORTEST_SECRET) {
    throw new RangeError(`a secret of ${value.length} characters cannot be looked for; use at least 8`);
  }
  appendLine(SECRETS_VARIABLE, value);
  return value;
}

/** Has the scan look into `text`. */
export function recordOutput(source: string, text: string): void {
  const output: RecordedOutput = { source, text };
  if (text !== "") appendLine(OUTPUTS_VARIABLE, output);
}

/** One write per line in append mode, so that lines of parallel test files don't mix. */
function appendLine(variable: string, value: unknown): void {
  const path = Deno.env.get(variable);
  if (path === undefined || path === "") return;
  Deno.writeTextFileSync(path, `${JSON.stringify(value)}\n`, { append: true, mode: 0o600 });
}
