/** The proxy does what its rules say, over TLS and without, and leaves nothing open. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createCertificateAuthority } from "../cluster/certificates.ts";
import {
  cutShort,
  delay,
  dropResponse,
  endAfter,
  endBefore,
  expireInMidList,
  hang,
  html,
  missEvent,
  refuse,
  reset,
  silence,
  trickle,
} from "./actions.ts";
import { type Match, Proxy } from "./proxy.ts";

const SECRETS = "/api/v1/namespaces/n/secrets";
const list = { kind: "SecretList", metadata: { resourceVersion: "7" }, items: [{ a: 1 }, { b: 2 }] };

Deno.test("a proxy passes what no rule is about, and breaks what one is, over TLS", async (t) => {
  const authority = await createCertificateAuthority("upstream");
  const pair = await authority.issueServer({ dns: [], ip: ["127.0.0.1"] });
  const asked: string[] = [];
  const events = ["ADDED", "MODIFIED", "DELETED"].map((type) => `${JSON.stringify({ type, object: {} })}\n`);
  const upstream = Deno.serve({
    ...{ hostname: "127.0.0.1", port: 0, cert: pair.certificatePem, key: pair.keyPem, onListen: () => {} },
  }, async (request) => {
    const { pathname, search } = new URL(request.url);
    asked.push(`${request.method} ${pathname}${search} ${await request.text()}`);
    if (search.includes("watch")) {
      return new Response(ReadableStream.from(events.map((line) => new TextEncoder().encode(line))));
    }
    return Response.json(list);
  });
  const url = `https://127.0.0.1:${upstream.addr.port}`;
  await using proxy = await Proxy.open({ upstream: url, caPem: authority.certificatePem });
  const client = Deno.createHttpClient({ caCerts: [await Proxy.caPem()], http2: false });
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${proxy.url}${path}`, { ...init, client });
    const text = await response.text();
    return { status: response.status, text, headers: response.headers };
  };
  const within = async (
    on: Match,
    action: Parameters<typeof proxy.rule>[0]["action"],
    body: () => unknown,
  ) => {
    asked.length = 0;
    const remove = proxy.rule({ on, action });
    await body();
    remove();
  };

  await t.step("what no rule is about", async () => {
    assertEquals(JSON.parse((await get(`${SECRETS}?limit=5`)).text), list);
    const body = JSON.stringify({ metadata: { name: "s" } });
    await get(SECRETS, { method: "POST", body, headers: { "content-type": "application/json" } });
    assertEquals(asked, [`GET ${SECRETS}?limit=5 `, `POST ${SECRETS} ${body}`]);
    assertEquals(proxy.seen({ verb: "create", plural: "secrets", name: "s", namespace: "n" }).length, 1);
    assertEquals((await get(`${SECRETS}?watch=true`)).text, events.join(""));
  });

  await t.step("the second of a kind only", async () => {
    const remove = proxy.rule({ on: { verb: "list", plural: "secrets" }, nth: 2, action: html(502) });
    const answers = [await get(SECRETS), await get(SECRETS), await get(SECRETS)];
    assertEquals(answers.map(({ status }) => status), [200, 502, 200]);
    remove();
  });

  await t.step("ends before and after", async () => {
    const ended: number[] = [];
    const end = () => ended.push(asked.length);
    await within(
      { name: "x" },
      endBefore(end),
      () => assertRejects(() => get(`${SECRETS}/x`, { method: "DELETE" })),
    );
    await within(
      { name: "x" },
      endAfter(end),
      () => assertRejects(() => get(`${SECRETS}/x`, { method: "DELETE" })),
    );
    assertEquals(ended, [0, 1]);
  });

  await t.step("lost, reset and cut-off answers", async () => {
    const write = { method: "PUT", body: "{}" };
    await within({}, dropResponse, () => assertRejects(() => get(`${SECRETS}/x`, write)));
    assertEquals(asked.length, 1);
    await within({}, reset, () => assertRejects(() => get(`${SECRETS}/x`, write)));
    assertEquals(asked.length, 0);
    await within({}, cutShort, () => assertRejects(() => get(`${SECRETS}/x`, write)));
    assertEquals(asked.length, 1);
  });

  await t.step("refusals", async () => {
    await within({}, refuse(429, "TooManyRequests", { retryAfterSeconds: 3 }), async () => {
      const { headers, status, text } = await get(SECRETS);
      assertEquals([status, headers.get("retry-after"), JSON.parse(text).reason], [
        429,
        "3",
        "TooManyRequests",
      ]);
      assertEquals(asked, []);
    });
  });

  await t.step("pages whose token expires", async () => {
    const remove = proxy.rule({ on: { verb: "list" }, times: 2, action: expireInMidList() });
    assertEquals(JSON.parse((await get(SECRETS)).text).items, [{ a: 1 }]);
    assertEquals((await get(`${SECRETS}?continue=expires`)).status, 410);
    remove();
  });

  await t.step("time", async () => {
    const startedAt = performance.now();
    await within({}, delay(100), () => get(SECRETS));
    await within({}, trickle(40, 50), () => get(SECRETS));
    assert(performance.now() - startedAt >= 200);
    const impatient = { signal: AbortSignal.timeout(50) };
    await within({}, hang, () => assertRejects(() => get(SECRETS, impatient)));
  });

  await t.step("watches", async () => {
    await within({ verb: "watch" }, missEvent(({ type }) => type === "MODIFIED"), async () => {
      assertEquals((await get(`${SECRETS}?watch=true`)).text, `${events[0]}${events[2]}`);
    });
    await within({ verb: "watch" }, silence, async () => {
      assertEquals((await get(`${SECRETS}?watch=true`)).text, "");
    });
  });

  await t.step("all connections", async () => {
    const arrived = Promise.withResolvers<void>();
    proxy.rule({
      on: {},
      action: (passage) => {
        arrived.resolve();
        return hang(passage);
      },
    });
    const waiting = assertRejects(() => get(SECRETS));
    await arrived.promise;
    proxy.goDown();
    await waiting;
    await assertRejects(() => get(SECRETS));
    proxy.heal();
    assertEquals((await get(SECRETS)).status, 200);
  });
  client.close();
  await upstream.shutdown();
});
