/** The help text. */

import { flagTable } from "./flags.ts";
import { relatedImages } from "./related_images.ts";

/** The commands, in the order of help and README. */
export const commandTable = [
  { name: "run", text: "keep everything as the custom resources say (the default)" },
  { name: "once", text: "converge once and end; 1 when something could not be done" },
  { name: "diff", text: "show what would be written; 0 nothing, 1 something, 2 an error" },
  { name: "status", text: "show the edge compute network; 1 when it is not ready" },
  { name: "convert", text: "print the custom resources for a file of iofogctl or potctl" },
  { name: "export", text: "print custom resources for what is on the Controller" },
  { name: "crds", text: "print the CRDs of this version, for kubectl apply -f -" },
  { name: "version", text: "print the version" },
] as const;

/** Widest line, and where the explanation of a flag begins. */
const columns = 100;
const nameColumns = 32;

/** What `--help` prints. */
export function help(): string {
  const commands = commandTable.map(({ name, text }) => `  ${name.padEnd(10)}${text}\n`).join("");
  const flags = flagTable.map((flag) => {
    const name = `${flag.alias === undefined ? "    " : `-${flag.alias}, `}--${flag.name}${
      flag.value === undefined ? "" : ` ${flag.value}`
    }`;
    const notes = [
      ...(flag.default === undefined ? [] : [`default ${flag.default}`]),
      ...(flag.variable === undefined ? [] : [`env ${flag.variable}`]),
    ];
    const text = `${flag.text}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`;
    return wrapped(`  ${name.padEnd(nameColumns)}`, text);
  }).join("");
  const variables = relatedImages.map(({ variable, text }) =>
    `  ${variable.padEnd(nameColumns)}${text}, where spec.images names none\n`
  ).join("");
  return `iofog-operator manages ioFog and Datasance PoT edge compute networks on Kubernetes.

Usage: iofog-operator [COMMAND] [FLAGS]

Commands:
${commands}
Flags:
${flags}
Environment variables without a flag:
${variables}
A proxy in HTTPS_PROXY or HTTP_PROXY is used for the API server and the Controller unless NO_PROXY
names them.
`;
}

/** `head` and the words of `text`, in as many lines as it takes; all but the first are indented. */
function wrapped(head: string, text: string): string {
  const lines: string[] = [];
  let line = head;
  for (const word of text.split(" ")) {
    if (line.length + word.length > columns) {
      lines.push(line);
      line = " ".repeat(head.length);
    }
    line += `${line.length === head.length ? "" : " "}${word}`;
  }
  return [...lines, line].map((each) => `${each}\n`).join("");
}
