import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { readAnswer } from "./answer.ts";
import {
  ControllerError,
  isAccountExists,
  isInvalidCredentials,
  isNotFound,
  isOldPasswordIncorrect,
  isTokenRejected,
} from "./errors.ts";

const json = "application/json; charset=utf-8";
const html = "text/html; charset=utf-8";

/** What the Controller sends, and what becomes of it. */
const refused: readonly {
  readonly name: string;
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly code: string;
  readonly retryable: boolean;
  readonly message: string;
  readonly holds?: (error: unknown) => boolean;
}[] = [
  {
    name: "a validation error",
    status: 400,
    contentType: json,
    text: '{"name":"ValidationError","message":"Required field \'host\' is missing"}',
    code: "ValidationError",
    retryable: false,
    message: "PUT /x: ValidationError: Required field 'host' is missing",
  },
  {
    name: "a mistake that 3.0.4 answers with 500",
    status: 500,
    contentType: json,
    text: '{"name":"NotFoundError","message":"Invalid router \'default-router\'","stack":"Error\\n at /srv"}',
    code: "NotFoundError",
    retryable: false,
    message: "PUT /x: NotFoundError: Invalid router 'default-router'",
    holds: isNotFound,
  },
  {
    name: "an account that exists",
    status: 400,
    contentType: json,
    text:
      '{"name":"ValidationError","message":"Registration failed: There is already an account associated with your email address."}',
    code: "ValidationError",
    retryable: false,
    message:
      "PUT /x: ValidationError: Registration failed: There is already an account associated with your email address.",
    holds: isAccountExists,
  },
  {
    name: "an old password that is wrong",
    status: 400,
    contentType: json,
    text: '{"name":"ValidationError","message":"Old password is incorrect"}',
    code: "ValidationError",
    retryable: false,
    message: "PUT /x: ValidationError: Old password is incorrect",
    holds: isOldPasswordIncorrect,
  },
  {
    name: "wrong credentials",
    status: 401,
    contentType: json,
    text: '{"name":"InvalidCredentialsError","message":"Invalid credentials"}',
    code: "InvalidCredentialsError",
    retryable: false,
    message: "PUT /x: InvalidCredentialsError: Invalid credentials",
    holds: isInvalidCredentials,
  },
  {
    name: "a token that expired",
    status: 401,
    contentType: json,
    text: '{"name":"AuthenticationError","message":"token expired"}',
    code: "AuthenticationError",
    retryable: false,
    message: "PUT /x: AuthenticationError: token expired",
    holds: isTokenRejected,
  },
  {
    name: "a missing token, which is a 500 of the database layer",
    status: 500,
    contentType: json,
    text: '{"name":"Error","message":"WHERE parameter \\"token\\" has invalid \\"undefined\\" value"}',
    code: "Error",
    retryable: true,
    message: 'PUT /x: Error: WHERE parameter "token" has invalid "undefined" value',
    holds: isTokenRejected,
  },
  {
    name: "3.7.3's own form of a rejected token",
    status: 401,
    contentType: json,
    text: '{"error":"Unauthorized: jwt expired"}',
    code: "Unauthorized",
    retryable: false,
    message: "PUT /x: Unauthorized: Unauthorized: jwt expired",
    holds: isTokenRejected,
  },
  {
    name: "a busy database",
    status: 500,
    contentType: json,
    text: '{"name":"SequelizeTimeoutError","message":"SQLITE_BUSY: database is locked"}',
    code: "SequelizeTimeoutError",
    retryable: true,
    message: "PUT /x: SequelizeTimeoutError: SQLITE_BUSY: database is locked",
  },
  {
    name: "an unknown route",
    status: 404,
    contentType: html,
    text: "<pre>Cannot PUT /api/v3/x</pre>",
    code: "BadResponse",
    retryable: false,
    message:
      "PUT /x: unusable answer: 404 with text/html of 31 characters, not from a Controller's API; check the address",
    holds: (error) => !isNotFound(error),
  },
  {
    name: "a proxy without a Controller behind it",
    status: 502,
    contentType: html,
    text: "<h1>Bad gateway</h1>",
    code: "BadResponse",
    retryable: true,
    message:
      "PUT /x: unusable answer: 502 with text/html of 20 characters, not from a Controller's API; check the address",
  },
  {
    name: "a login page",
    status: 200,
    contentType: html,
    text: "<form>",
    code: "BadResponse",
    retryable: true,
    message: "PUT /x: unusable answer: 200 with text/html of 6 characters, not complete JSON",
  },
  {
    name: "JSON that was cut off",
    status: 200,
    contentType: json,
    text: '{"accessToken":"0123',
    code: "BadResponse",
    retryable: true,
    message: "PUT /x: unusable answer: 200 with application/json of 20 characters, not complete JSON",
  },
  {
    name: "a redirect",
    status: 302,
    contentType: "",
    text: "",
    code: "BadResponse",
    retryable: false,
    message: "PUT /x: unusable answer: redirected with 302, which a Controller does not do",
  },
];

for (const { name, status, contentType, text, code, retryable, message, holds } of refused) {
  Deno.test(`readAnswer() refuses ${name}`, () => {
    const error = assertThrows(
      () => readAnswer({ status, contentType, text }, "PUT /x", []),
      ControllerError,
    );
    assertEquals(
      { status: error.status, code: error.code, retryable: error.retryable, message: error.message },
      { status, code, retryable, message },
    );
    if (holds !== undefined) assertStrictEquals(holds(error), true);
  });
}

Deno.test("readAnswer() returns the JSON of a success, and undefined where there is none", () => {
  assertEquals(readAnswer({ status: 200, contentType: json, text: '{"a":[1]}' }, "GET /x", []), { a: [1] });
  assertStrictEquals(readAnswer({ status: 204, contentType: "", text: "" }, "GET /x", []), undefined);
});

Deno.test("readAnswer() shows no secret that the Controller echoes, and no more than 300 characters", () => {
  const secret = 'p"ss\\word';
  const text = JSON.stringify({
    name: "ValidationError",
    message: `bad ${secret} and ${JSON.stringify(secret)} ` + "y".repeat(400),
  });
  const error = assertThrows(
    () => readAnswer({ status: 400, contentType: json, text }, "PUT /x", [secret, ""]),
    ControllerError,
  );
  assertEquals(error.detail.slice(0, 20), 'bad *** and "***" yy');
  assertEquals(error.detail.length, 301);
});

Deno.test("readAnswer() tells what a validator says, and nothing of what it dumps", () => {
  const message = JSON.stringify({
    property: "instance",
    message: "does not match allOf schema </edgeResource> with 1 error[s]:",
    instance: { password: "not-to-be-seen" },
  });
  const text = JSON.stringify({ name: "ValidationError", message });
  const error = assertThrows(
    () => readAnswer({ status: 400, contentType: "application/json", text }, "PUT /x", []),
    ControllerError,
  );
  assertEquals(
    (error as ControllerError).message,
    "PUT /x: ValidationError: the request does not match allOf schema </edgeResource> with 1 error[s]",
  );
});
