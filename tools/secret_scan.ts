/**
 * Looks for secrets in everything that was said during a test run.
 *
 * Guarantees: a secret that stands in an output in any spelling of `src/telemetry/encodings.ts` is reported, with who
 * said it and what stood around it, and the report itself never shows it.
 */

import { SpellingIndex } from "../src/telemetry/redaction.ts";
import { spellingsOf } from "../src/telemetry/encodings.ts";
import { type RecordedOutput, SHORTEST_SECRET } from "../tests/secrets.ts";

/** A place where a secret was said. */
export interface Leak {
  readonly source: string;
  /** Some characters around it, without it. */
  readonly context: string;
}

/** Collects secrets first, then looks at outputs. */
export class SecretScan {
  readonly #index = new SpellingIndex();
  readonly #secrets = new Set<string>();
  readonly #leaks: Leak[] = [];
  #longest = 0;
  #bytes = 0;

  /** Adds a secret to look for; one that is shorter than eight characters is ignored. */
  learn(secret: string): void {
    if (secret.length < SHORTEST_SECRET || this.#secrets.has(secret)) return;
    this.#secrets.add(secret);
    for (const spelling of spellingsOf(secret)) {
      // What is left of a long secret at other alignments may be short, but not so short that it is everywhere.
      if (spelling.text.length < 6) continue;
      this.#index.add(spelling);
      this.#longest = Math.max(this.#longest, spelling.text.length);
    }
  }

  /** Looks at one whole text. */
  check({ source, text }: RecordedOutput): void {
    this.#bytes += new TextEncoder().encode(text).length;
    this.#report(source, text);
  }

  /** Looks at a long text piece by piece. */
  async checkStream(source: string, stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    let checkedTo = 0;
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      this.#bytes += bytes.length;
      const text = rest + decoder.decode(bytes, { stream: true });
      this.#report(source, text, checkedTo);
      // What began in this piece may end in the next one.
      rest = text.slice(-Math.max(this.#longest - 1, 1));
      checkedTo = rest.length;
    }
  }

  /** How many secrets were looked for, in how many bytes, and where they were found. */
  result(): { readonly secrets: number; readonly bytes: number; readonly leaks: readonly Leak[] } {
    return { secrets: this.#secrets.size, bytes: this.#bytes, leaks: this.#leaks };
  }

  #report(source: string, text: string, checkedTo = 0): void {
    for (const { start, end } of this.#index.find(text)) {
      if (end <= checkedTo) continue;
      const around = text.slice(Math.max(0, start - 200), start) + "\u0000" + text.slice(end, end + 40);
      const context = this.#clean(around).replace("\u0000", "***").replaceAll(/\s+/g, " ").slice(-90);
      this.#leaks.push({ source: this.#clean(source), context });
    }
  }

  #clean(text: string): string {
    let cleaned = "";
    let end = 0;
    for (const range of this.#index.find(text)) {
      cleaned += `${text.slice(end, range.start)}***`;
      end = range.end;
    }
    return cleaned + text.slice(end);
  }
}

/** Where a run left its secrets and its outputs. */
export interface ScanFiles {
  /** See `tests/secrets.ts`. */
  readonly secrets: string;
  readonly outputs: string;
  /** Plain files that are outputs too; one that does not exist is left out. */
  readonly others: readonly string[];
}

/** Scans what a run left behind. */
export async function scanFiles(files: ScanFiles): Promise<ReturnType<SecretScan["result"]>> {
  const scan = new SecretScan();
  for await (const line of linesOf(files.secrets)) scan.learn(JSON.parse(line) as string);
  for await (const line of linesOf(files.outputs)) scan.check(JSON.parse(line) as RecordedOutput);
  for (const path of files.others) {
    const file = await openIfThere(path);
    if (file !== undefined) await scan.checkStream(path.slice(path.lastIndexOf("/") + 1), file.readable);
  }
  return scan.result();
}

/** The lines that say what a scan found; the first begins with `secret scan:`. */
export function describeScan(result: ReturnType<SecretScan["result"]>): string[] {
  const { secrets, bytes, leaks } = result;
  const head = `secret scan: ${secrets} secrets in ${bytes} bytes of output:`;
  if (leaks.length === 0) return [`${head} clean`];
  const shown = leaks.slice(0, 20).map(({ source, context }) => `  ${source}: ...${context}`);
  const more = leaks.length > shown.length ? [`  and ${leaks.length - shown.length} more`] : [];
  return [`${head} found ${leaks.length} times`, ...shown, ...more];
}

async function* linesOf(path: string): AsyncGenerator<string, void, void> {
  const file = await openIfThere(path);
  if (file === undefined) return;
  let rest: string[] = [];
  for await (const text of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = text.split("\n");
    if (lines.length === 1) {
      rest.push(text);
      continue;
    }
    yield rest.join("") + lines[0];
    yield* lines.slice(1, -1);
    rest = [lines.at(-1) ?? ""];
  }
  if (rest.join("") !== "") yield rest.join("");
}

async function openIfThere(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
