/** Writes `docs/reasons.md`: what each reason in a condition or Event means, from where they are defined. */

/** Where reasons are defined, and what they are about; what both have stands with the first. */
const SOURCES = [
  ["src/resources/controlplane/reasons.ts", "A control plane"],
  ["src/resources/edge/reasons.ts", "The edge"],
] as const;

/** Those of the engine, which knows nothing of ioFog. */
const ENGINE: Readonly<Record<string, string>> = {
  Adopting: "What somebody else made is taken over, as the annotation asks; the message says what changes.",
  Conflict: "An object of that name belongs to somebody else, or an older custom resource has it.",
  Forbidden: "The operator's Role does not allow a write; the message names what to grant.",
  InvalidSpec: "A field of the spec has a wrong type, is missing, or breaks a limit.",
  ListFailed: "The API server does not list a kind; nothing of that kind is touched.",
  ListForbidden: "The operator's Role does not allow to list a kind; nothing of that kind is touched.",
  NotListed: "A kind has not been listed yet.",
  NotOurs: "The object in the Controller was not made by this operator, which leaves it alone.",
  NotRecorded: "It is not written in the Controller before it is recorded in the inventory.",
  NotServed: "The API server does not serve a kind.",
  PruneGuard:
    "Most custom resources of a kind are gone at once: nothing is deleted before another list agrees.",
  Rejected: "The API server, or an admission webhook, refuses a write; the message has its words.",
  Unsettled: "It was written, and is still another one: something else changes it, or does not keep it.",
};

/** Each reason in the text of a module, with the sentence above it. */
export function reasonsIn(source: string): ReadonlyMap<string, string> {
  const found = source.matchAll(/\/\*\* (.+) \*\/\nexport const \w+ = "(\w+)";/g);
  return new Map([...found].map(([, meaning = "", reason = ""]) => [reason, meaning]));
}

/** The document. `read` gives the text of a file of the repository. */
export async function reasonsMarkdown(read: (path: string) => Promise<string>): Promise<string> {
  const tables: [string, ReadonlyMap<string, string>][] = [["Any kind", new Map(Object.entries(ENGINE))]];
  for (const [path, title] of SOURCES) {
    const before = new Set(tables.flatMap(([, reasons]) => [...reasons.keys()]));
    const own = [...reasonsIn(await read(path))].filter(([reason]) => !before.has(reason));
    tables.push([title, new Map(own)]);
  }
  const sections = tables.map(([title, reasons]) => {
    const rows = [...reasons].sort().map(([reason, meaning]) => `| \`${reason}\` | ${meaning} |`);
    return [`## ${title}`, "", "| reason | meaning |", "| --- | --- |", ...rows].join("\n");
  });
  return [
    "<!-- Written by `deno task crds` from src; do not edit. -->",
    "# Reasons",
    "What stands as `reason` in the conditions and Warnings of a custom resource. The message beside it says " +
    "which object or field it is about, and what helps; [troubleshooting](troubleshooting.md) and\n" +
    "[PoT](pot.md#troubleshooting) show the frequent ones.",
    ...sections,
    "",
  ].join("\n\n").trimEnd() + "\n";
}
