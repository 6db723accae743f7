/**
 * Writes what is generated from the sources: the CRDs under `crds/`, `docs/reference.md` and `docs/reasons.md`; and
 * the copies in the Helm chart, which can hold no file from outside of its folder: the CRDs and the operator's Role.
 *
 * `deno task crds` writes them; `deno task crds --check` writes nothing, names each file that is stale, and exits with
 * 1 when there is one.
 */

import { stringify } from "@std/yaml";
import { allCrds } from "../src/resources/all_crds.ts";
import { referenceMarkdown } from "../src/resources/reference.ts";
import { reasonsMarkdown } from "./reasons.ts";

/** The text of each generated file, by its path in the repository. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const crds = (["iofog", "pot"] as const).flatMap((flavour) =>
    allCrds(flavour).flatMap(({ crd }) => {
      const file = `${crd.metadata.name}.yaml`;
      const text = yamlOf(crd);
      const folder = flavour === "pot" ? "crds/pot" : "crds";
      return [[`${folder}/${file}`, text], [`${CHART}/charts/${flavour}/crds/${file}`, text]] as const;
    })
  );
  return new Map([...crds, ["docs/reference.md", referenceMarkdown()]]);
}

const CHART = "deploy/helm/iofog-operator";

/** Files in the chart that are the same as another in the repository. */
const COPIES: Readonly<Record<string, string>> = {
  [`${CHART}/files/role.yaml`]: "deploy/base/role.yaml",
  [`${CHART}/files/role_pot.yaml`]: "deploy/overlays/pot/role.yaml",
  [`${CHART}/files/alerts.yaml`]: "deploy/monitoring/alerts.yaml",
};

async function allFiles(root: URL): Promise<ReadonlyMap<string, string>> {
  const copies = Object.entries(COPIES).map(async ([path, original]) =>
    [path, await readText(new URL(original, root)) ?? ""] as const
  );
  const reasons = await reasonsMarkdown(async (path) => await readText(new URL(path, root)) ?? "");
  return new Map([...generatedFiles(), ["docs/reasons.md", reasons], ...await Promise.all(copies)]);
}

function yamlOf(crd: unknown): string {
  const text: string = stringify(crd, { lineWidth: 120, useAnchors: false });
  // `helm show crds` puts nothing between the files.
  return `---\n# Written by \`deno task crds\` from src/resources; do not edit.\n${text}`;
}

/** Paths of the generated files that are missing or differ, in the repository at `root`. */
export async function staleFiles(root: URL): Promise<string[]> {
  const stale: string[] = [];
  for (const [path, text] of await allFiles(root)) {
    if (await readText(new URL(path, root)) !== text) stale.push(path);
  }
  return stale;
}

async function readText(file: URL): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The command; returns the exit code. */
async function main(args: readonly string[], root: URL): Promise<number> {
  const unknown = args.filter((arg) => arg !== "--check");
  if (unknown.length > 0) {
    console.error(`unknown argument ${unknown.join(" ")}; usage: deno task crds [--check]`);
    return 2;
  }
  const stale = await staleFiles(root);
  if (args.includes("--check")) {
    for (const path of stale) console.error(`${path} is stale: run deno task crds`);
    return stale.length === 0 ? 0 : 1;
  }
  const files = await allFiles(root);
  for (const path of stale) {
    await Deno.writeTextFile(new URL(path, root), files.get(path) ?? "");
    console.log(`wrote ${path}`);
  }
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args, new URL("../", import.meta.url)));
