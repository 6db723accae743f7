import { assertEquals, assertRejects } from "@std/assert";
import { KubernetesClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import { intercept, type InterceptedRequest } from "./intercept.ts";
import { describeRequest, type RequestDescription } from "./request_description.ts";
import { answering } from "./testing.ts";
import type { RequestOptions } from "./transport.ts";

const path = "/apis/apps/v1/namespaces/x/deployments";
const body = { kind: "Deployment", metadata: { name: "d" } };

const cases: readonly (readonly [RequestOptions, RequestDescription])[] = [
  [{ method: "GET", path }, { verb: "list", plural: "deployments", namespace: "x" }],
  [
    { method: "GET", path, querystring: new URLSearchParams("watch=true") },
    { verb: "watch", plural: "deployments", namespace: "x" },
  ],
  [{ method: "GET", path: `${path}/d` }, { verb: "get", plural: "deployments", namespace: "x", name: "d" }],
  [
    { method: "POST", path, bodyJson: body },
    { verb: "create", plural: "deployments", kind: "Deployment", namespace: "x", name: "d" },
  ],
  [
    { method: "PUT", path: `${path}/d/status`, bodyJson: body },
    {
      verb: "update",
      plural: "deployments",
      kind: "Deployment",
      subresource: "status",
      namespace: "x",
      name: "d",
    },
  ],
  [
    { method: "PATCH", path: `${path}/d`, contentType: "application/apply-patch+yaml", bodyJson: body },
    { verb: "apply", plural: "deployments", kind: "Deployment", namespace: "x", name: "d" },
  ],
  [
    { method: "PATCH", path: `${path}/d`, contentType: "application/json-patch+json", bodyJson: [] },
    { verb: "patch", plural: "deployments", namespace: "x", name: "d" },
  ],
  [
    { method: "DELETE", path: `${path}/d`, bodyJson: { kind: "DeleteOptions" } },
    { verb: "delete", plural: "deployments", namespace: "x", name: "d" },
  ],
  [{ method: "GET", path: "/api/v1/namespaces/x" }, { verb: "get", plural: "namespaces", name: "x" }],
  [
    { method: "PUT", path: "/api/v1/namespaces/x/finalize" },
    { verb: "update", plural: "namespaces", subresource: "finalize", name: "x" },
  ],
  [{ method: "GET", path: "/api/v1/pods" }, { verb: "list", plural: "pods" }],
  [{ method: "GET", path: "/version" }, { verb: "get", plural: "/version" }],
];

Deno.test("describeRequest() reads verb, resource and object from a request", () => {
  for (const [options, expected] of cases) assertEquals(describeRequest(options), expected);
});

Deno.test("intercept() can break a request before, replace its answer after, and counts", async () => {
  const transport = answering(() => ({ metadata: { name: "real" } }));
  const seen: string[] = [];
  const hook = async ({ count, name, plural, verb }: InterceptedRequest, proceed: () => Promise<unknown>) => {
    seen.push(`${verb} ${plural} ${name} ${count}`);
    if (name === "b") throw new ApiError("broken", { status: 0, reason: "Unreachable" });
    const answer = await proceed();
    return count === 2 ? { metadata: { name: "replaced" } } : answer;
  };
  const client = new KubernetesClient(intercept(transport, hook));
  const pods = { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true };
  const names = [];
  for (let i = 0; i < 2; i++) {
    names.push((await client.get(pods, { namespace: "x", name: "a" })).metadata?.name);
  }
  await assertRejects(() => client.get(pods, { namespace: "x", name: "b" }), ApiError, "broken");
  assertEquals(names, ["real", "replaced"]);
  assertEquals(seen, ["get pods a 1", "get pods a 2", "get pods b 1"]);
  assertEquals(transport.requests.length, 2);
});
