/** What a document asks its reader to run, and how it is run. Pure. */

/** Commands of a document, in one fenced block. */
export interface CommandBlock {
  /** Of the block's first line; the document's first is 1. */
  readonly line: number;
  readonly text: string;
}

/** A command that no test can run: its exact line in the document, and why. */
export type NotRun = Readonly<Record<string, string>>;

/** The languages that a block may name: commands are all in `sh`. */
const languages = ["sh", "yaml", "json", "text", "promql", "lua"];

/**
 * The commands of a document in Markdown: fenced blocks of `sh`, and comments `<!-- run` ... `-->`, which set the stage
 * without being shown. A block of YAML that begins with `# NAME.yaml` is a command that writes this file.
 *
 * @throws Error when a block names no language, or another than those above, since its commands would not be noticed
 */
export function commandBlocks(markdown: string): readonly CommandBlock[] {
  const blocks: CommandBlock[] = [];
  const lines = markdown.split("\n");
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? "";
    const [, indent = "", language] = /^( *)```(.*)$/.exec(line) ?? [];
    const isHidden = /^<!-- run$/.test(line);
    if (language === undefined && !isHidden) continue;
    if (language !== undefined && !languages.includes(language)) {
      throw new Error(
        `line ${index + 1}: a block of "${language}"; it must be one of ${languages.join(", ")}`,
      );
    }
    const end = lines.findIndex((each, at) => at > index && each.trim() === (isHidden ? "-->" : "```"));
    if (end < 0) throw new Error(`line ${index + 1}: a block that does not end`);
    const text = lines.slice(index + 1, end).map((each) => each.replace(indent, "")).join("\n");
    const [, file] = language === "yaml" ? /^# (\S+\.yaml)\n/.exec(text) ?? [] : [];
    if (file !== undefined) {
      blocks.push({ line: index + 2, text: `cat > ${file} <<'END_OF_FILE'\n${text}\nEND_OF_FILE` });
    } else if (language === "sh" || isHidden) blocks.push({ line: index + 2, text });
    index = end;
  }
  return blocks;
}

/** The commands, with an argument at least, that the text of a document names outside of its blocks. */
export function inlineCommands(markdown: string): readonly string[] {
  const text = markdown.replaceAll(/^( *)```.*?^\1```$/gms, "").replaceAll(/<!-- run$.*?^-->$/gms, "");
  return [...text.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span.replaceAll(/\s+/g, " "))
    .filter((span) => programs.test(span));
}

const programs = /^(kubectl|helm|npx|deno|docker|git|go|curl|nats|iofogctl|potctl|iofog-operator) \S/;

/**
 * One bash script of all blocks, which ends at the first command that fails and says which. What stands in `notRun` is
 * left out; `COMMAND # exits with N` must do so.
 *
 * @throws Error when a line of `notRun` is in no block
 */
export function scriptOf(path: string, blocks: readonly CommandBlock[], notRun: NotRun): string {
  const unused = new Set(Object.keys(notRun));
  const parts = blocks.map(({ line, text }) => {
    const kept = text.split("\n").map((each) => {
      if (!Object.hasOwn(notRun, each)) {
        return each.replace(/^(.*\S) +# exits with (\d+).*$/, "exits_with $2 $1");
      }
      unused.delete(each);
      return "";
    });
    return `BLOCK=${path}:${line}\n${kept.join("\n")}\n`;
  });
  if (unused.size > 0) {
    throw new Error(`${path} has no line ${[...unused].map((each) => `"${each}"`).join(", ")}`);
  }
  return `${prologue}${parts.join("")}`;
}

const prologue = `set -eEuo pipefail
trap 'echo "FAILED in $BLOCK: exit code $?: $BASH_COMMAND"' ERR
exits_with() {
  local expected=$1 code=0
  shift
  "$@" || code=$?
  [ "$code" -eq "$expected" ]
}
`;

/** The same text for another namespace than `iofog` or `pot`, of which all documents and manifests name one. */
export function inNamespace(text: string, namespace: string): string {
  return text.replaceAll(/\b(namespace:? |namespace=|NAMESPACE=|-n )(?:iofog|pot)\b/g, `$1${namespace}`)
    .replaceAll(/(\s-n )(?:iofog|pot)\b/g, `$1${namespace}`);
}
