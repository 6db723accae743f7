/**
 * The rules of the layers, as a plugin of `deno lint` (named in deno.json), so that editors show them too.
 *
 * `layers/order`: imports point downwards only. `layers/effects`: who may use the network, the clock, randomness,
 * arguments, environment, files and processes. `layers/dynamic-import`: a module whose name is not written out is not in
 * the compiled binary. Tests may use whatever they need, but they keep the order too. `tools/layers.ts` checks what needs
 * all files at once.
 */

const ROOT = new URL("../", import.meta.url);

/**
 * What each folder of `src/` may import beside itself. `operator` knows no Controller: the engine has an interface for
 * external systems. The two clients don't know each other.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  cli: [
    "resources",
    "operator",
    "kubernetes",
    "controller",
    "telemetry",
    "clock.ts",
    "until_aborted.ts",
    "version.ts",
  ],
  resources: [
    "operator",
    "kubernetes",
    "controller",
    "telemetry",
    "clock.ts",
    "until_aborted.ts",
    "version.ts",
  ],
  operator: ["kubernetes", "telemetry", "clock.ts", "until_aborted.ts"],
  kubernetes: ["telemetry", "clock.ts", "until_aborted.ts"],
  controller: ["telemetry", "clock.ts", "until_aborted.ts"],
  telemetry: ["clock.ts", "until_aborted.ts"],
  "clock.ts": [],
  "until_aborted.ts": [],
  "version.ts": [],
  "mod.ts": ["operator", "kubernetes", "telemetry", "clock.ts"],
};

/** Names of the platform that only these files may use; a folder ends with a slash. Anything here is free in `cli/`. */
const EFFECTS: readonly {
  readonly names: RegExp;
  readonly files: readonly string[];
  readonly why: string;
}[] = [
  {
    names: /^(fetch|XMLHttpRequest|WebSocket|EventSource)$/,
    files: ["src/kubernetes/fetch_transport.ts", "src/controller/transport.ts"],
    why: "all HTTP goes through the two transports",
  },
  {
    names:
      /^(Date\.now|Date|performance(\..+)?|Temporal\.Now(\..+)?|Math\.random|crypto\.randomUUID|setTimeout|setInterval|setImmediate|AbortSignal\.timeout)$/,
    files: ["src/clock.ts"],
    why: "time, timers and randomness come from the Clock",
  },
  {
    names: /^crypto\.getRandomValues$/,
    // Keys and serial numbers must not be predictable, and no test needs them to be.
    files: ["src/clock.ts", "src/resources/pki.ts"],
    why: "randomness comes from the Clock",
  },
  { names: /^Deno\.errors(\..+)?$/, files: ["src/"], why: "" },
  {
    names: /^Deno\.createHttpClient$/,
    files: ["src/kubernetes/http_connection.ts", "src/controller/transport.ts"],
    why: "all HTTP goes through the two transports",
  },
  {
    names: /^Deno\.serve$/,
    files: ["src/telemetry/health.ts"],
    why: "the one server is the health server",
  },
  { names: /^Deno\.memoryUsage$/, files: ["src/telemetry/metrics.ts"], why: "memory is a metric" },
  {
    names:
      /^(Deno(\..+)?|process(\..+)?|console(\..+)?|alert|confirm|prompt|localStorage|sessionStorage|caches)$/,
    files: [],
    why: "only src/cli/ reads arguments, environment and files, runs programs and writes to the terminal",
  },
];

/** Modules of Node that do no I/O, and who may import the others. */
const NODE_MODULES: Readonly<Record<string, readonly string[]>> = {
  "node:path": ["src/"],
  "node:buffer": ["src/"],
  // WebCrypto can neither parse a certificate nor say which key it belongs to.
  // A digest at once: that of WebCrypto is a promise, and a plan is not.
  "node:crypto": ["src/resources/pki.ts", "src/resources/certificate_issuing.ts", "src/operator/settled.ts"],
  // Deno's fetch cannot be told the server's name.
  "node:http": ["src/controller/named_fetch.ts"],
  "node:https": ["src/controller/named_fetch.ts"],
};

const plugin: Deno.lint.Plugin = {
  name: "layers",
  rules: {
    order: {
      create(context) {
        const file = repositoryPath(context.filename);
        const check = (node: Deno.lint.Node, specifier: unknown) => {
          const problem = file === undefined || typeof specifier !== "string"
            ? undefined
            : importProblem(file, specifier);
          if (problem !== undefined) context.report({ node, message: problem });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source.value),
          ExportAllDeclaration: (node) => check(node, node.source.value),
          ExportNamedDeclaration: (node) => check(node, node.source?.value),
          ImportExpression: (node) => check(node, node.source.type === "Literal" && node.source.value),
          TSImportType({ argument }) {
            if (argument.type !== "TSLiteralType" || argument.literal.type !== "Literal") return;
            check(argument, argument.literal.value);
          },
        };
      },
    },
    effects: {
      create(context) {
        const file = repositoryPath(context.filename);
        if (file === undefined || !file.startsWith("src/") || isTest(file) || file.startsWith("src/cli/")) {
          return {};
        }
        const check = (node: Deno.lint.Node, name: string) => {
          const effect = EFFECTS.find((each) => each.names.test(name));
          if (effect === undefined || effect.files.some((allowed) => isAt(file, allowed))) return;
          context.report({ node, message: `${name} in ${file}: ${effect.why}` });
        };
        return {
          Identifier(node) {
            if (isReference(node)) check(outermost(node), nameOf(outermost(node)));
          },
        };
      },
    },
    "dynamic-import": {
      create(context) {
        const file = repositoryPath(context.filename);
        if (file === undefined || !(file.startsWith("src/") || file === "mod.ts")) return {};
        return {
          ImportExpression(node) {
            if (node.source.type === "Literal") return;
            context.report({
              node,
              message:
                `import() of a name that is not written out in ${file}: not embedded in the compiled binary`,
            });
          },
        };
      },
    },
  },
};

export default plugin;

/** The path below the repository's root; undefined for a file elsewhere. */
function repositoryPath(filename: string): string | undefined {
  const root = decodeURIComponent(ROOT.pathname);
  return filename.startsWith(root) ? filename.slice(root.length) : undefined;
}

function isTest(file: string): boolean {
  return /_test\.ts$/.test(file);
}

function isAt(file: string, allowed: string): boolean {
  return allowed.endsWith("/") ? file.startsWith(allowed) : file === allowed;
}

/** `operator` for `src/operator/plan.ts`, `clock.ts` for `src/clock.ts`, `mod.ts`; undefined outside of the layers. */
function layerOf(file: string): string | undefined {
  if (file === "mod.ts") return file;
  const match = /^src\/([^/]+)/.exec(file);
  return match?.[1];
}

/** Why `file` must not import `specifier`; undefined when it may. */
export function importProblem(file: string, specifier: string): string | undefined {
  const from = layerOf(file);
  if (from === undefined) return undefined;
  if (specifier.startsWith("node:")) {
    if (isTest(file) || from === "cli") return undefined;
    const allowed = NODE_MODULES[specifier]?.some((place) => isAt(file, place)) ?? false;
    return allowed
      ? undefined
      : `${file} must not import ${specifier}: only pure modules of Node, or where needed`;
  }
  if (!specifier.startsWith(".")) {
    return specifier.includes("://")
      ? `${file} must not import ${specifier}: only the import map`
      : undefined;
  }
  const target = new URL(specifier, `file:///${file}`).pathname.slice(1);
  const to = layerOf(target);
  if (to === undefined) {
    if (isTest(file) && target.startsWith("tests/")) return undefined;
    if (from === "version.ts" && target === "deno.json") return undefined;
    return `${file} must not import ${target}: it is not part of the program`;
  }
  if (to === from) return undefined;
  const allowed = MAY_IMPORT[from];
  if (allowed === undefined) {
    return `${file}: src/${from} is no layer; say in tools/layers_lint.ts what it may import`;
  }
  return allowed.includes(to)
    ? undefined
    : `${file} must not import ${target}: ${from} may import ${allowed.join(", ") || "nothing"}`;
}

/** Whether the identifier stands for a value of the platform: no property, key, declaration or type. */
function isReference(node: Deno.lint.Identifier): boolean {
  const parent: Deno.lint.Node | undefined = node.parent;
  switch (parent?.type) {
    case "MemberExpression":
      return parent.object === node || parent.computed;
    case "Property":
      return parent.value === node || parent.computed;
    case "NewExpression":
      // `new Date(value)` formats a time, `new Date()` reads the clock.
      return !(node.name === "Date" && parent.arguments.length > 0);
    case "VariableDeclarator":
      return parent.init === node;
    case "MethodDefinition":
    case "PropertyDefinition":
    case "TSPropertySignature":
    case "TSMethodSignature":
      return parent.key !== node || parent.computed;
    case "BinaryExpression":
      return !(parent.operator === "instanceof" && parent.right === node);
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
    case "ClassDeclaration":
    case "ImportSpecifier":
    case "ExportSpecifier":
    case "LabeledStatement":
    case "TSTypeReference":
    case "TSQualifiedName":
    case "TSTypeQuery":
    case "TSTypeAliasDeclaration":
    case "TSInterfaceDeclaration":
    case "TSInterfaceHeritage":
    case "TSEnumMember":
    case "TSNamedTupleMember":
      return false;
    default:
      return true;
  }
}

/** `Deno.errors.NotFound` for the `Deno` in it. */
function outermost(node: Deno.lint.Identifier): Deno.lint.Identifier | Deno.lint.MemberExpression {
  let current: Deno.lint.Identifier | Deno.lint.MemberExpression = node;
  for (;;) {
    const parent: Deno.lint.Identifier["parent"] = current.parent;
    if (parent?.type !== "MemberExpression" || parent.object !== current) return current;
    current = parent;
  }
}

/** `Date.now` for that member expression, also below `globalThis`; what is computed ends the name with `[]`. */
function nameOf(node: Deno.lint.Node): string {
  const parts: string[] = [];
  let current = node;
  while (current.type === "MemberExpression") {
    const property = current.property;
    if (!current.computed && property.type === "Identifier") parts.unshift(property.name);
    else parts.unshift(property.type === "Literal" ? String(property.value) : "[]");
    current = current.object;
  }
  if (current.type === "Identifier") parts.unshift(current.name);
  if (["globalThis", "window", "self"].includes(parts[0] ?? "") && parts.length > 1) parts.shift();
  // `Date.parse` and `Math.max` are pure; a method of what the name holds, as in `fetch.call`, is still that name.
  const [first = "", second = ""] = parts;
  if (["Date", "Math", "crypto", "AbortSignal"].includes(first)) {
    return second === "" ? first : `${first}.${second}`;
  }
  return ["fetch", "setTimeout", "setInterval"].includes(first) ? first : parts.join(".");
}
