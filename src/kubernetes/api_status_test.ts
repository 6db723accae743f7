import { assertEquals } from "@std/assert";
import { statusError } from "./api_status.ts";

const status = {
  kind: "Status",
  code: 422,
  reason: "Invalid",
  message: "spec.x: Invalid value: hunter2",
  details: {
    retryAfterSeconds: 2,
    causes: [{ reason: "FieldValueInvalid", message: "Invalid value: hunter2", field: "spec.x" }],
  },
};

Deno.test("statusError() keeps what the server said", () => {
  const error = statusError(status, {
    subject: "PATCH /apis/apps/v1/namespaces/x/deployments/d",
    status: 422,
  });
  assertEquals(
    [error.message, error.status, error.reason, error.causes, error.retryAfterMs],
    [
      "PATCH /apis/apps/v1/namespaces/x/deployments/d: 422 Invalid: spec.x: Invalid value: hunter2",
      422,
      "Invalid",
      status.details.causes,
      2000,
    ],
  );
});

Deno.test("statusError() leaves out what the server said about a Secret", () => {
  const error = statusError(status, { subject: "PUT /api/v1/namespaces/x/secrets/s", status: 422 });
  assertEquals(error.message, "PUT /api/v1/namespaces/x/secrets/s: 422 Invalid: spec.x");
  assertEquals(JSON.stringify(error.causes).includes("hunter2"), false);
  assertEquals(error.causes[0]?.reason, "FieldValueInvalid");
});

Deno.test("statusError() keeps what a quota said about a Secret, and nothing that could quote more", () => {
  const subject = "POST /api/v1/namespaces/x/secrets/s";
  const said = (message: string) =>
    statusError({ kind: "Status", code: 403, reason: "Forbidden", message }, { subject, status: 403 })
      .message;
  const quota =
    'secrets "s" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=3, limited: secrets=3';
  assertEquals(said(quota), `${subject}: 403 Forbidden: ${quota}`);
  assertEquals(said(`${quota} "hunter2"`), `${subject}: 403 Forbidden`);
  assertEquals(said('secrets "s" is forbidden: hunter2'), `${subject}: 403 Forbidden`);
});

Deno.test("statusError() bears details that are malformed, and bodies that are no status", () => {
  const odd = { kind: "Status", code: "x", reason: 5, details: { causes: "none", retryAfterSeconds: -1 } };
  assertEquals(
    statusError(odd, { subject: "GET /x", status: 503 }).message,
    "GET /x: 503 ServiceUnavailable",
  );
  const none = statusError(undefined, { subject: "GET /x", status: 502, retryAfterMs: 5 });
  assertEquals([none.message, none.reason, none.retryAfterMs, none.retryable], [
    "GET /x: HTTP 502 without details",
    "InternalError",
    5,
    true,
  ]);
});
