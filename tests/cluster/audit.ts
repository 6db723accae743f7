/**
 * Reads the audit log of the local cluster: who asked what, and what came of it.
 *
 * It knows every request exactly once, by its final stage; a watch that still runs counts as soon as it began.
 */

import { z } from "zod";
import { type Cluster, connectCluster } from "./cluster.ts";

/** What of a cluster is needed. */
export type AuditedCluster = Pick<Cluster, "url" | "caPem" | "adminToken" | "auditLogPath">;

/** One request. */
export interface AuditEvent {
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`. */
  readonly verb: string;
  /** Empty for the core group; undefined, like `resource`, for a request that is about no resource. */
  readonly group?: string | undefined;
  readonly resource?: string | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** HTTP status; undefined while a watch runs. */
  readonly code?: number | undefined;
  readonly user: string;
  readonly userAgent: string;
  readonly path: string;
  /** When the request came, and when its last stage was over; milliseconds since the epoch. */
  readonly receivedMs: number;
  readonly endedMs: number;
}

/** Which requests; all by default. */
export interface AuditQuery {
  /** Where in the log to begin, in bytes: what comes before takes seconds to read after some minutes of tests. */
  readonly fromByte?: number | undefined;
  /** From this receipt on, in milliseconds since the epoch. */
  readonly sinceMs?: number | undefined;
  /** Beginning of the user agent. */
  readonly userAgent?: string | undefined;
  readonly namespace?: string | undefined;
  readonly resource?: string | undefined;
  readonly verbs?: readonly string[] | undefined;
}

/** The verbs that change something. A dry run has them too. */
export const writeVerbs: readonly string[] = ["create", "update", "patch", "delete", "deletecollection"];

const lineSchema = z.object({
  auditID: z.string(),
  stage: z.string(),
  verb: z.string(),
  requestURI: z.string(),
  // Empty where the credentials were refused.
  user: z.object({ username: z.string().default("") }),
  userAgent: z.string().default(""),
  objectRef: z.object({
    apiGroup: z.string().default(""),
    resource: z.string().optional(),
    subresource: z.string().optional(),
    namespace: z.string().optional(),
    name: z.string().optional(),
  }).optional(),
  responseStatus: z.object({ code: z.number().optional() }).optional(),
  requestReceivedTimestamp: z.string(),
  stageTimestamp: z.string(),
});

/**
 * The requests in the order in which they were over. Everything that was answered before the call is there: an
 * answer may be a moment ahead of its line in the log, and this waits for it.
 */
export async function auditEvents(
  cluster: AuditedCluster,
  query: AuditQuery = {},
): Promise<readonly AuditEvent[]> {
  await flushed(cluster);
  const byId = new Map<string, AuditEvent>();
  const { fromByte = 0, namespace = "", userAgent = "" } = query;
  for (const line of (await readFrom(cluster.auditLogPath, fromByte)).split("\n")) {
    // The last line may be in the middle of being written.
    if (!line.endsWith("}") || !line.includes(userAgent) || !line.includes(namespace)) continue;
    const parsed = lineSchema.parse(JSON.parse(line));
    if (parsed.userAgent.startsWith(flushAgent)) continue;
    const event = toEvent(parsed);
    if (!isAsked(event, query)) continue;
    // A later stage of the same request takes the later place.
    byId.delete(parsed.auditID);
    byId.set(parsed.auditID, event);
  }
  return [...byId.values()];
}

function toEvent(line: z.infer<typeof lineSchema>): AuditEvent {
  return {
    verb: line.verb,
    group: line.objectRef?.resource === undefined ? undefined : line.objectRef.apiGroup,
    resource: line.objectRef?.resource,
    subresource: line.objectRef?.subresource,
    namespace: line.objectRef?.namespace,
    name: line.objectRef?.name,
    code: line.stage === "ResponseStarted" ? undefined : line.responseStatus?.code,
    user: line.user.username,
    userAgent: line.userAgent,
    path: line.requestURI,
    receivedMs: Date.parse(line.requestReceivedTimestamp),
    endedMs: Date.parse(line.stageTimestamp),
  };
}

function isAsked(event: AuditEvent, query: AuditQuery): boolean {
  return (query.sinceMs === undefined || event.receivedMs >= query.sinceMs) &&
    (query.userAgent === undefined || event.userAgent.startsWith(query.userAgent)) &&
    (query.namespace === undefined || event.namespace === query.namespace) &&
    (query.resource === undefined || event.resource === query.resource) &&
    (query.verbs === undefined || query.verbs.includes(event.verb));
}

const flushAgent = "audit-flush/";

/** How long the log may lag behind the answers. */
const flushTimeoutMs = 10_000;

/**
 * The server answers first and writes the line after that, so a marker request is sent and looked for; twice, since
 * a request that was answered just before the first marker may be written just after it.
 */
async function flushed(cluster: AuditedCluster): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const userAgent = `${flushAgent}${crypto.randomUUID()}`;
    const { size } = await Deno.stat(cluster.auditLogPath);
    const client = connectCluster(cluster, { userAgent });
    await client.serverVersion();
    client.transport.close?.();
    const deadline = performance.now() + flushTimeoutMs;
    while (!(await readFrom(cluster.auditLogPath, size)).includes(userAgent)) {
      if (performance.now() > deadline) throw new Error(`${cluster.auditLogPath} is not written`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

async function readFrom(path: string, offset: number): Promise<string> {
  using file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  return await new Response(file.readable).text();
}
