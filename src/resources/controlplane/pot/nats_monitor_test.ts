import { assert, assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../../clock.ts";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { parentOf, snapshotOf } from "../iofog/fixtures.ts";
import { auth } from "./fixtures.ts";
import { askNatsServers } from "./nats_monitor.ts";

const three = {
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: { name: "nats" },
  spec: { replicas: 3 },
} as KubeObject;

/** Servers whose monitors give these answers; a number is a status without a body. */
async function asked(
  replicas: number,
  answer: (path: string) => unknown,
): Promise<
  { readonly health: Awaited<ReturnType<typeof askNatsServers>>; readonly paths: readonly string[] }
> {
  const paths: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname, search } = new URL(request.url);
    paths.push(`${pathname}${search}`);
    const body = answer(pathname);
    const status = (body as { status?: unknown }).status === "unavailable" ? 503 : 200;
    return Response.json(body, { status });
  });
  try {
    const health = await askNatsServers(
      parentOf({ auth, replicas: { nats: replicas } }),
      snapshotOf([three]),
      new AbortController().signal,
      {
        clock: systemClock,
        addressOf: (name) => `http://127.0.0.1:${server.addr.port}/${name}`,
      },
    );
    return { health, paths };
  } finally {
    await server.shutdown();
  }
}

Deno.test("askNatsServers() asks each server, and only where one is to leave", async () => {
  const fine = (path: string) =>
    path.endsWith("/healthz") ? { status: "ok" } : { meta_cluster: { cluster_size: 3 } };
  assertEquals((await asked(3, fine)).paths, []);
  const { health, paths } = await asked(2, fine);
  assertEquals(health, { type: "known", unwell: [], members: 3, streams: [] });
  assertEquals(paths.length, 6);
  assert(paths.includes("/nats-2/jsz?accounts=1&streams=1&config=1&limit=1000000"));
});

Deno.test("askNatsServers() tells of a server that is not well, and of one that cannot be asked", async () => {
  const { health } = await asked(
    2,
    (path) =>
      path === "/nats-1/healthz"
        ? { status: "unavailable", error: "JetStream is not current" }
        : path.endsWith("/healthz")
        ? { status: "ok" }
        : {},
  );
  if (health.type !== "known") throw new Error(health.why);
  assertEquals(health.unwell.map(({ server }) => server), ["nats-1"]);
  assertMatch(health.unwell[0]?.why ?? "", /JetStream is not current/);
  const outside = await askNatsServers(
    parentOf({ auth, replicas: { nats: 2 } }),
    snapshotOf([three]),
    new AbortController().signal,
    { clock: systemClock, addressOf: () => "http://nats-0.nats-headless.invalid:8222" },
  );
  if (outside.type !== "unknown") throw new Error("somebody answered");
  assertMatch(outside.why, /no server answers: GET \/jsz/);
});
