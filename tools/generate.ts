/**
 * Writes `src/kubernetes/generated/` from the API server's OpenAPI v3 documents.
 *
 *     deno run -A tools/generate.ts --kubeconfig FILE [--context NAME]
 *     deno run -A tools/generate.ts --server URL --token TOKEN --ca FILE
 *
 * takes the documents from a server, keeps what is reachable from the kinds we use in `tools/openapi/`, and generates
 * from that. `--offline` generates from what is kept, without a server. `--check` writes nothing and fails when a file
 * is stale, naming it.
 */

import { parseArgs } from "@std/cli";
import { z } from "zod";
import { KubernetesClient } from "../src/kubernetes/client.ts";
import {
  type ConnectionConfig,
  type Environment,
  noProxyForLoopback,
} from "../src/kubernetes/connection_config.ts";
import { createFetchTransport } from "../src/kubernetes/fetch_transport.ts";
import { loadKubeconfig } from "../src/kubernetes/kubeconfig.ts";
import {
  type Documents,
  metaModule,
  type OpenApiDocument,
  parseDocument,
  trim,
  type Wanted,
  wanted,
} from "./generate/documents.ts";
import { mergeRules } from "./generate/merge_rules.ts";
import { shapes } from "./generate/shapes.ts";
import { typeScript } from "./generate/types.ts";

const documentFolder = new URL("./openapi/", import.meta.url);
const generatedFolder = new URL("../src/kubernetes/generated/", import.meta.url);

const argumentsSchema = z.object({
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  server: z.url().optional(),
  token: z.string().optional(),
  ca: z.string().optional(),
  offline: z.boolean(),
  check: z.boolean(),
});

type Arguments = z.infer<typeof argumentsSchema>;

const environment: Environment = {
  readTextFile: (path) => Deno.readTextFile(path),
  variable: (name) => Deno.env.get(name),
  run: async (command, args, env) => {
    const { stdout, success } = await new Deno.Command(command, { args: [...args], env, stderr: "null" })
      .output();
    if (!success) throw new Error(`${command} failed`);
    return new TextDecoder().decode(stdout);
  },
};

async function connection({ ca, context, kubeconfig, server, token }: Arguments): Promise<ConnectionConfig> {
  if (server === undefined) return await loadKubeconfig(environment, { path: kubeconfig, context });
  return {
    server,
    source: "--server",
    authorities: ca === undefined ? undefined : () => Deno.readTextFile(ca),
    credentials: () =>
      Promise.resolve({ authorization: token === undefined ? undefined : `Bearer ${token}` }),
  };
}

async function fetchDocuments(config: ConnectionConfig): Promise<Documents> {
  const noProxy = noProxyForLoopback(config.server, Deno.env.get("NO_PROXY"));
  if (noProxy !== undefined) Deno.env.set("NO_PROXY", noProxy);
  const transport = createFetchTransport(config);
  try {
    const client = new KubernetesClient(transport);
    const served = new Map<Wanted, OpenApiDocument>();
    for (const entry of wanted) {
      const api = entry.group === "" ? `api/${entry.version}` : `apis/${entry.group}/${entry.version}`;
      served.set(entry, parseDocument(await client.rawGet(`/openapi/v3/${api}`), api));
    }
    return trim(served);
  } finally {
    transport.close?.();
  }
}

async function readDocuments(): Promise<Documents> {
  const documents = new Map<string, OpenApiDocument>();
  for (const module of [metaModule, ...wanted.map((entry) => entry.module)]) {
    const file = new URL(`${module}.json`, documentFolder);
    documents.set(module, parseDocument(JSON.parse(await Deno.readTextFile(file)), file.pathname));
  }
  return documents;
}

function filesOf(documents: Documents, offline: boolean): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  if (!offline) {
    for (const [module, document] of documents) {
      files.set(pathIn(documentFolder, `${module}.json`), `${JSON.stringify(document, null, 2)}\n`);
    }
  }
  for (const [name, text] of typeScript(documents)) files.set(pathIn(generatedFolder, name), text);
  files.set(pathIn(generatedFolder, "merge_rules.ts"), mergeRules(documents));
  files.set(pathIn(generatedFolder, "shapes.ts"), shapes(documents));
  return files;
}

/** A path, not a part of a URL: the repository may lie in a folder with spaces. */
function pathIn(folder: URL, name: string): string {
  return decodeURIComponent(new URL(name, folder).pathname);
}

async function isStale(path: string, text: string): Promise<boolean> {
  try {
    return await Deno.readTextFile(path) !== text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

if (import.meta.main) {
  const given = argumentsSchema.parse(parseArgs(Deno.args, {
    string: ["kubeconfig", "context", "server", "token", "ca"],
    boolean: ["offline", "check"],
  }));
  const documents = given.offline ? await readDocuments() : await fetchDocuments(await connection(given));
  let stale = 0;
  for (const [path, text] of filesOf(documents, given.offline)) {
    if (!await isStale(path, text)) continue;
    stale++;
    console.error(given.check ? `${path} is stale; run deno task generate` : `wrote ${path}`);
    if (!given.check) await Deno.writeTextFile(path, text);
  }
  if (given.check && stale > 0) Deno.exit(1);
}
