import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { createMetrics, type Metrics } from "./metrics.ts";

function testMetrics(): Metrics {
  return createMetrics({
    version: "1.2.3",
    clock: { now: () => 1_700_000_000_000, monotonic: () => 0 },
    residentBytes: () => 4096,
  });
}

/** The samples of the exposition, without comments and histogram buckets, sorted. */
async function samples(metrics: Metrics): Promise<string[]> {
  const lines = (await metrics.text()).split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#") && !line.includes("_bucket{")).sort();
}

Deno.test("createMetrics() starts with what it knows of the process", async () => {
  assertEquals(await samples(testMetrics()), [
    'iofog_operator_build_info{version="1.2.3"} 1',
    "iofog_operator_full_pass_age_seconds 0",
    "process_resident_memory_bytes 4096",
    "process_start_time_seconds 1700000000",
  ]);
});

Deno.test("createMetrics() shows each thing that happened once", async () => {
  const metrics = testMetrics();
  for (let begun = 0; begun < 3; begun++) metrics.reconciling("controlplane");
  metrics.reconciled("controlplane", "success", 0.5);
  metrics.reconciled("controlplane", "error", 1.5);
  metrics.queueDepth("controlplane", 2);
  metrics.queued("controlplane", 3);
  metrics.fullPass();
  metrics.apiRequest({ method: "GET", host: "10.0.0.1:443", code: 200 });
  metrics.apiRequest({ method: "GET", host: "[::1]:6443", code: 0 });
  metrics.leader("44586fd0.iofog.org", true);
  metrics.wrote({ world: "kubernetes", verb: "apply", kind: "Deployment", reason: "drift", result: "ok" });
  metrics.wrote({ world: "external", verb: "create", kind: "User", reason: "missing", result: "rejected" });
  metrics.driftRepaired("Service");
  metrics.staleRead("Secret");
  metrics.watchRestarted("Pod", "gone");
  const iofog = { kind: "ControlPlane", namespace: "default", name: "iofog" };
  const ready = (status: string) => ({ type: "Ready", status });
  metrics.observed(iofog, {
    conditions: [ready("False"), { type: "Paused", status: "True" }],
    certificates: { "router-ca": 1_800_000_000_000, gone: 0 },
  });
  metrics.observed(iofog, {
    conditions: [ready("True"), { type: "Stalled", status: "Unknown" }],
    certificates: { "router-ca": 1_900_000_000_000 },
  });
  const other = { ...iofog, namespace: "other" };
  metrics.observed(other, { conditions: [ready("False")], certificates: { "router-ca": 1 } });
  metrics.forget(other);
  metrics.externalRequest({ method: "POST", path: "/api/v3/user/login", code: 401 });
  metrics.externalRequest({ method: "GET", path: "/api/v3/iofog/{uuid}", code: 0 });
  assertEquals(await samples(metrics), [
    'controller_runtime_active_workers{controller="controlplane"} 1',
    'controller_runtime_reconcile_errors_total{controller="controlplane"} 1',
    'controller_runtime_reconcile_time_seconds_count{controller="controlplane"} 2',
    'controller_runtime_reconcile_time_seconds_sum{controller="controlplane"} 2',
    'controller_runtime_reconcile_total{controller="controlplane",result="error"} 1',
    'controller_runtime_reconcile_total{controller="controlplane",result="requeue"} 0',
    'controller_runtime_reconcile_total{controller="controlplane",result="requeue_after"} 0',
    'controller_runtime_reconcile_total{controller="controlplane",result="success"} 1',
    'iofog_operator_build_info{version="1.2.3"} 1',
    'iofog_operator_certificate_expiry_timestamp_seconds{kind="ControlPlane",namespace="default",name="iofog",secret="router-ca"} 1900000000',
    'iofog_operator_condition{kind="ControlPlane",namespace="default",name="iofog",type="Ready"} 1',
    'iofog_operator_condition{kind="ControlPlane",namespace="default",name="iofog",type="Stalled"} -1',
    'iofog_operator_controller_requests_total{method="GET",path="/api/v3/iofog/{uuid}",code="<error>"} 1',
    'iofog_operator_controller_requests_total{method="POST",path="/api/v3/user/login",code="401"} 1',
    'iofog_operator_drift_repairs_total{kind="Service"} 1',
    "iofog_operator_full_pass_age_seconds 0",
    'iofog_operator_stale_reads_total{kind="Secret"} 1',
    'iofog_operator_watch_restarts_total{kind="Pod",reason="gone"} 1',
    'iofog_operator_writes_total{world="external",verb="create",kind="User",reason="missing",result="rejected"} 1',
    'iofog_operator_writes_total{world="kubernetes",verb="apply",kind="Deployment",reason="drift",result="ok"} 1',
    'leader_election_master_status{name="44586fd0.iofog.org"} 1',
    "process_resident_memory_bytes 4096",
    "process_start_time_seconds 1700000000",
    'rest_client_requests_total{code="200",method="GET",host="10.0.0.1:443"} 1',
    'rest_client_requests_total{code="<error>",method="GET",host="[::1]:6443"} 1',
    'workqueue_adds_total{name="controlplane"} 3',
    'workqueue_depth{name="controlplane"} 2',
  ]);
});

Deno.test("createMetrics() tells nothing of custom resources that another process looks after now", async () => {
  const metrics = testMetrics();
  const state = { conditions: [{ type: "Ready", status: "False" }], certificates: { "router-ca": 1_000 } };
  const told = async () =>
    (await samples(metrics)).filter((line) => /_condition|_certificate/.test(line)).length;
  metrics.leader("44586fd0.iofog.org", true);
  metrics.observed({ kind: "ControlPlane", namespace: "default", name: "iofog" }, state);
  assertEquals(await told(), 2);
  metrics.leader("44586fd0.iofog.org", false);
  assertEquals(await told(), 0);
  metrics.leader("44586fd0.iofog.org", true);
  assertEquals(await told(), 0);
  metrics.observed({ kind: "ControlPlane", namespace: "default", name: "iofog" }, state);
  assertEquals(await told(), 2);
});

Deno.test("createMetrics() puts no free text into a label", async () => {
  const metrics = testMetrics();
  const text = "Password hunter2!\n";
  metrics.reconciling(text);
  metrics.reconciled(text, "success", 1);
  metrics.queueDepth(text, 1);
  metrics.apiRequest({ method: text, host: `user:${text}@host`, code: 1.5 });
  metrics.leader(text, true);
  metrics.wrote({ world: "external", verb: "create", kind: text, reason: "change", result: "ok" });
  metrics.driftRepaired(text);
  metrics.staleRead(text);
  metrics.watchRestarted(text, "error");
  metrics.observed({ kind: text, namespace: text, name: text }, {
    conditions: [{ type: text, status: text }],
    certificates: { [text]: 1 },
  });
  metrics.externalRequest({ method: "GET", path: `/api/v3/user?password=hunter2`, code: 200 });
  metrics.externalRequest({
    method: "GET",
    path: `/api/v3/iofog/7f3bA0c41d2e4f5a9b8c7d6e5f4a3b2c1`,
    code: 200,
  });
  const exposition = await metrics.text();
  assertFalse(exposition.includes("hunter2"));
  assertFalse(exposition.includes("7f3b"));
  assertStringIncludes(exposition, 'path="other"');
});

Deno.test("createMetrics() keeps two operators in one process apart", async () => {
  const first = testMetrics();
  const second = testMetrics();
  first.driftRepaired("Service");
  assert((await first.text()).includes("drift_repairs_total{"));
  assertFalse((await second.text()).includes("drift_repairs_total{"));
});

Deno.test("createMetrics() measures real memory by default", async () => {
  const metrics = createMetrics({ version: "dev", clock: { now: () => 0, monotonic: () => 0 } });
  const line = (await samples(metrics)).find((sample) => sample.startsWith("process_resident_memory_bytes"));
  assert(Number(line?.split(" ")[1]) > 1_000_000, line);
});

Deno.test("createMetrics() tells how long ago every custom resource was looked at", async () => {
  let now = 1_000_000;
  // Somebody sets the wall clock all the time.
  let wall = 0;
  const clock = { now: () => wall += 86_400_000, monotonic: () => now };
  const metrics = createMetrics({ version: "dev", clock });
  const age = async () =>
    (await samples(metrics)).find((sample) => sample.startsWith("iofog_operator_full_pass_age"))?.split(
      " ",
    )[1];
  now += 5_000;
  assertEquals(await age(), "5");
  metrics.fullPass();
  now += 1_000;
  assertEquals(await age(), "1");
});
