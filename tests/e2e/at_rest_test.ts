/** No write without an observed change, counted from the API server's audit log. Long: it begins first. */

import { assert, assertEquals } from "@std/assert";
import { conditionOf, scenario } from "./harness.ts";
import { pause } from "./waiting.ts";

/** Seconds of rest that are looked at; shorter only where somebody asks for it while working on the tests. */
const restSeconds = Number(Deno.env.get("IOFOG_TEST_REST_SECONDS") ?? 300);

scenario(`a ready control plane is not written to for ${restSeconds} seconds`, async (scene) => {
  scene.operate();
  await scene.create();
  await scene.untilReady();
  await scene.untilAtRest();
  const { requests } = scene.controller;
  const restsFrom = Date.now();
  const callsBefore = requests.length;
  await pause(restSeconds * 1000);
  assertEquals(await scene.writes(restsFrom), []);
  const calls = requests.slice(callsBefore).filter(({ method }) => method !== "GET");
  assertEquals(calls.map(({ method, path }) => `${method} ${path}`), []);
  // It was awake all the time; every two seconds on a machine that is not busy.
  const renewals = (await scene.requests(restsFrom)).filter(({ resource, verb }) =>
    resource === "leases" && verb === "update"
  );
  assert(renewals.length >= restSeconds / 4, `${renewals.length} renewals of the Lease`);
  assertEquals(conditionOf(await scene.controlPlane(), "Ready")?.status, "True");
});
