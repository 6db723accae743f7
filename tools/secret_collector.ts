/**
 * Gathers, while tests run, what the secret scan needs from the shared API server: the values of all Secrets and the
 * passwords in custom resources as secrets; Events and the statuses of custom resources as outputs.
 *
 * It watches, since tests delete their namespaces long before the scan; what lives shorter than a watch needs to begin
 * is still seen, because every watch goes on from a list.
 */

import type { KubernetesClient } from "../src/kubernetes/client.ts";
import type { KubeObject, Resource } from "../src/kubernetes/resource.ts";
import { SHORTEST_SECRET } from "../tests/secrets.ts";

/** Where the collector puts what it finds. */
export interface CollectorSink {
  secret(value: string): void;
  output(source: string, text: string): void;
}

/** A collector at work. */
export interface Collector {
  /** Ends it, after everything that is there now has been seen. */
  stop(): Promise<void>;
}

interface Secret extends KubeObject {
  readonly data?: Readonly<Record<string, string>> | undefined;
}

interface CustomResourceDefinition extends KubeObject {
  readonly spec?: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly { readonly name: string; readonly served: boolean }[];
  } | undefined;
}

interface CustomResource extends KubeObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}

const SECRETS: Resource<Secret> = core("Secret", "secrets");
const EVENTS: Resource = core("Event", "events");
const CUSTOM_RESOURCE_DEFINITIONS: Resource<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};

/** Milliseconds until a watch that failed is begun again; a CRD that was just made is not served at once. */
const RETRY_MS = 200;

/** Keys of a Secret's data that hold no secret. */
const PUBLIC_KEYS =
  /^(ca\.crt|tls\.crt|namespace|email|user(name)?|dbname|host|port|provider|ssl|ca|uuid|controllerURL|expirationTime|auth-(url|realm|realm-key|ssl-req|controller-client|viewer-client))$/i;
/** Fields of a document that hold a secret. */
const SECRET_FIELDS = /(password|passphrase|token|seed|auth)$/i;

/** Starts to gather from `client`'s server. */
export function collectSecrets(client: KubernetesClient, sink: CollectorSink): Collector {
  const stopping = new AbortController();
  const followed = new Map<string, () => Promise<void>>();
  const running: Promise<void>[] = [];
  const seen = new Set<string>();

  /** The same thing is said once, however often it is seen. */
  const output = (source: string, text: string) => {
    const key = `${source}\n${text}`;
    if (!seen.has(key)) sink.output(source, text);
    seen.add(key);
  };
  const follow = <T extends KubeObject>(resource: Resource<T>, see: (object: T) => void) => {
    const key = `${resource.plural}.${resource.group}`;
    if (followed.has(key)) return;
    followed.set(key, async () => {
      for (const object of (await client.list(resource)).items) see(object);
    });
    running.push(followOne(client, resource, see, stopping.signal));
  };

  follow(SECRETS, (secret) => {
    for (const value of secretsInSecret(secret)) sink.secret(value);
  });
  follow(EVENTS, (event) => {
    output(`Event ${nameOf(event)}`, JSON.stringify(event));
  });
  follow(CUSTOM_RESOURCE_DEFINITIONS, (definition) => {
    const resource = customResource(definition);
    if (resource === undefined) return;
    follow(resource, (object) => {
      for (const value of secretsInDocument(object.spec)) sink.secret(value);
      if (object.status === undefined) return;
      output(`status of ${resource.kind} ${nameOf(object)}`, JSON.stringify(object.status));
    });
  });

  return {
    stop: async () => {
      // The list of CRDs may bring more to list.
      const kinds = new Set<string>();
      for (const [kind, list] of followed) {
        if (kinds.has(kind)) continue;
        kinds.add(kind);
        // What is no longer served has nothing to list.
        await list().catch(() => {});
      }
      stopping.abort();
      await Promise.all(running);
    },
  };
}

async function followOne<T extends KubeObject>(
  client: KubernetesClient,
  resource: Resource<T>,
  see: (object: T) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const { items, resourceVersion } = await client.list(resource, {}, { signal });
      for (const object of items) see(object);
      for await (const event of client.watch(resource, { resourceVersion }, { signal })) {
        if (event.type !== "BOOKMARK") see(event.object);
      }
    } catch {
      // Whatever it was, it begins again with a list.
    }
    if (!signal.aborted) await pause(RETRY_MS, signal);
  }
}

/** The values in a Secret that nobody may see, decoded, and where a value is itself base64, decoded twice. */
export function secretsInSecret(secret: Secret): string[] {
  return Object.entries(secret.data ?? {}).flatMap(([key, value]) => {
    if (PUBLIC_KEYS.test(key)) return [];
    const text = withoutCertificates(decodeBase64(value) ?? "");
    const document = parseJson(text);
    return [...withDecoded(text), ...(document === undefined ? [] : secretsInDocument(document))];
  });
}

/** The values of the fields of a document whose names say that they are secret. */
export function secretsInDocument(document: unknown): string[] {
  if (typeof document !== "object" || document === null) return [];
  return Object.entries(document).flatMap(([key, value]) =>
    typeof value === "string"
      ? (SECRET_FIELDS.test(key) ? withDecoded(withoutCertificates(value)) : [])
      : secretsInDocument(value)
  );
}

function withDecoded(text: string): string[] {
  const decoded = decodeBase64(text.trim());
  // What decodes to binary was no base64 of a text.
  const isText = decoded !== undefined && !/[^\t\n\r\x20-\x7e\u00a0-\uffef]/.test(decoded);
  return [text, ...(isText ? [decoded] : [])].filter((each) => each.length >= SHORTEST_SECRET);
}

function withoutCertificates(text: string): string {
  return text.replaceAll(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\s*/g, "");
}

function decodeBase64(text: string): string | undefined {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function customResource(definition: CustomResourceDefinition): Resource<CustomResource> | undefined {
  const { spec } = definition;
  const version = spec?.versions.find((each) => each.served)?.name;
  if (spec === undefined || version === undefined) return undefined;
  return { group: spec.group, version, ...spec.names, namespaced: spec.scope === "Namespaced" };
}

function nameOf({ metadata }: KubeObject): string {
  return [metadata?.namespace, metadata?.name].filter((part) => part !== undefined).join("/");
}

function core(kind: string, plural: string): Resource {
  return { group: "", version: "v1", kind, plural, namespaced: true };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
