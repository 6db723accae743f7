/** The Controller client against the stand-in: what it does when the Controller, or the way to it, misbehaves. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../src/clock.ts";
import { type ControllerClient, createControllerClient } from "../../src/controller/client.ts";
import { ControllerError, isAccountExists, isInvalidCredentials } from "../../src/controller/errors.ts";
import { type Controller, type ControllerOptions, startController } from "./controller.ts";

const user = { firstName: "Fake", lastName: "Admin", email: "admin@example.com", password: "Fake-Pass-1234" };
const router = { host: "192.0.2.20", messagingPort: 5672, edgeRouterPort: 45672, interRouterPort: 55672 };

async function withController(
  body: (controller: Controller, client: ControllerClient) => Promise<void>,
  options: ControllerOptions = {},
): Promise<void> {
  const controller = await startController(options);
  const client = createControllerClient({ baseUrl: controller.url });
  try {
    await body(controller, client);
  } finally {
    client.close();
    await controller.close();
  }
}

async function signedIn(client: ControllerClient): Promise<void> {
  await client.signUp(user);
  await client.login(user);
}

/** Method, path and status of what was asked, oldest first. */
function asked(controller: Controller): string[] {
  return controller.requests.map(({ method, path, answered }) =>
    `${method} ${path.replace("/api/v3", "")} ${answered}`
  );
}

function failure(request: Promise<unknown>): Promise<ControllerError> {
  return assertRejects(() => request, ControllerError);
}

Deno.test("a new control plane is signed up, logged in and given its router, with the recorded bodies", async () => {
  await withController(async (controller, client) => {
    assertEquals((await client.status()).versions.controller, "3.0.4");
    await signedIn(client);
    assertEquals(await client.router(), undefined);
    await client.setRouter(router);
    assertEquals(await client.router(), router);
    assertEquals(await client.profile(), {
      firstName: "Fake",
      lastName: "Admin",
      email: "admin@example.com",
    });
    assert(isAccountExists(await failure(client.signUp(user))));
    const writes = controller.requests.filter(({ method }) => method !== "GET");
    const token = controller.state.tokens[0]?.token;
    const json = { contentType: "application/json", authorization: undefined };
    assertEquals(writes, [
      { method: "POST", path: "/api/v3/user/signup", ...json, body: user, answered: 201 },
      {
        method: "POST",
        path: "/api/v3/user/login",
        ...json,
        body: { email: user.email, password: user.password },
        answered: 200,
      },
      {
        method: "PUT",
        path: "/api/v3/router",
        contentType: "application/json",
        authorization: token,
        body: router,
        answered: 200,
      },
      { method: "POST", path: "/api/v3/user/signup", ...json, body: user, answered: 400 },
    ]);
  });
});

Deno.test("config() and setConfig() keep any key and value, braces included", async () => {
  await withController(async (_, client) => {
    await signedIn(client);
    const key = "{{ self }}/ä";
    assertEquals(await client.config(key), undefined);
    await client.setConfig(key, "100{% {{ x }}");
    assertEquals(await client.config(key), "100{% {{ x }}");
  });
});

Deno.test("updateProfile() changes only what it is given", async () => {
  await withController(async (_, client) => {
    await signedIn(client);
    await client.updateProfile({ lastName: "Lovelace" });
    assertEquals(await client.profile(), { firstName: "Fake", lastName: "Lovelace", email: user.email });
  });
});

Deno.test("a token that expired is replaced by one login, and the request repeated once", async () => {
  let ahead = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };
  await withController(async (controller, client) => {
    await signedIn(client);
    await client.setRouter(router);
    ahead = 3 * 3_600_000;
    controller.forgetRequests();
    await client.setRouter(router);
    assertEquals(asked(controller), ["PUT /router 401", "POST /user/login 200", "PUT /router 200"]);
  }, { clock });
});

Deno.test("requests whose tokens expired together share one login", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    controller.expireTokens();
    controller.forgetRequests();
    await Promise.all([client.profile(), client.profile(), client.config("a"), client.config("b")]);
    assertEquals(asked(controller).filter((line) => line.startsWith("POST")), ["POST /user/login 200"]);
  });
});

Deno.test("a token that is rejected again after a login is an error, not a loop", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    const body = '{"name":"AuthenticationError","message":"authorization failed"}';
    const action = { type: "answer", status: 401, contentType: "application/json", body } as const;
    controller.breakAt({ path: "/router", times: Infinity, action });
    controller.forgetRequests();
    assertEquals((await failure(client.router())).code, "AuthenticationError");
    assertEquals(asked(controller), ["GET /router 401", "POST /user/login 200", "GET /router 401"]);
  });
});

Deno.test("without any login a call that needs one fails and asks nothing", async () => {
  await withController(async (controller, client) => {
    const error = await failure(client.router());
    assertEquals([error.code, error.retryable], ["NotLoggedIn", false]);
    assertEquals(controller.requests, []);
  });
});

Deno.test("a failed login leaves the session before it in place, and shows no password", async () => {
  await withController(async (_, client) => {
    await signedIn(client);
    const error = await failure(client.login({ email: user.email, password: "Wrong-Pass-1234" }));
    assert(isInvalidCredentials(error));
    assertEquals(error.message, "POST /user/login: InvalidCredentialsError: Invalid credentials");
    assertEquals((await client.profile()).email, user.email);
  });
});

Deno.test("a password that was rotated elsewhere is told as invalid credentials, until the new one is given", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    for (const row of controller.state.users) row.password = "Rotated-Pass-1234";
    controller.state.tokens = [];
    assert(isInvalidCredentials(await failure(client.router())));
    await client.login({ email: user.email, password: "Rotated-Pass-1234" });
    assertEquals(await client.router(), undefined);
  });
});

Deno.test("changePassword() has logged in with the new password when it returns, and others never try the old", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    controller.forgetRequests();
    const newPassword = "Other-Pass-5678";
    const change = client.changePassword({ oldPassword: user.password, newPassword });
    const others = Promise.all([client.profile(), client.profile(), client.profile()]);
    await change;
    assertEquals(controller.state.users[0]?.password, newPassword);
    await others;
    const logins = controller.requests.filter(({ path }) => path.endsWith("/login")).map(({ body }) => body);
    assertEquals(logins, [{ email: user.email, password: newPassword }]);
    const error = await failure(client.changePassword({ oldPassword: user.password, newPassword }));
    assertEquals(error.message, "PATCH /user/password: ValidationError: Old password is incorrect");
  });
});

Deno.test("changePassword() whose answer is lost can be finished by a login with either password", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    controller.breakAt({ path: "/user/password", action: { type: "drop" } });
    const newPassword = "Other-Pass-5678";
    const error = await failure(client.changePassword({ oldPassword: user.password, newPassword }));
    assertEquals([error.code, error.retryable], ["Unreachable", true]);
    assert(isInvalidCredentials(await failure(client.profile())));
    await client.login({ email: user.email, password: newPassword });
    assertEquals((await client.profile()).email, user.email);
  });
});

Deno.test("an emptied Controller answers invalid credentials, and can be signed up to again", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    controller.forgetEverything();
    assert(isInvalidCredentials(await failure(client.router())));
    await signedIn(client);
    assertEquals(await client.router(), undefined);
  });
});

Deno.test("a Controller that is down is Unreachable, and used again when it is back, with the same token", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    await controller.goDown();
    const error = await failure(client.router());
    assertEquals([error.code, error.status, error.retryable], ["Unreachable", 0, true]);
    assert(error.message.includes("connection refused"), error.message);
    await controller.comeUp();
    controller.forgetRequests();
    assertEquals(await client.router(), undefined);
    assertEquals(asked(controller), ["GET /router 404"]);
  });
});

Deno.test("a Controller that was restarted on its database knows its users and tokens", async () => {
  const before = await startController();
  const client = createControllerClient({ baseUrl: before.url });
  await signedIn(client);
  await before.close();
  const after = await startController({ port: before.port, state: before.state });
  assertEquals((await client.profile()).email, user.email);
  assertEquals(asked(after), ["GET /user/profile 200"]);
  client.close();
  await after.close();
});

Deno.test("a GET on a pooled connection that was reset is sent again; a write is not", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    await client.status();
    controller.breakAt({ method: "GET", path: "/router", action: { type: "reset" } });
    controller.breakAt({ method: "PUT", path: "/router", action: { type: "reset" } });
    await client.setConfig("some-key", "1");
    controller.forgetRequests();
    assertEquals(await client.router(), undefined);
    assertEquals((await failure(client.setRouter(router))).code, "Unreachable");
    assertEquals(asked(controller), ["GET /router 0", "GET /router 404", "PUT /router 0"]);
  });
});

Deno.test("a write whose answer was lost has happened", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    controller.breakAt({ method: "PUT", path: "/router", action: { type: "drop" } });
    assertEquals((await failure(client.setRouter(router))).code, "Unreachable");
    assertEquals(await client.router(), router);
  });
});

Deno.test("answers that are not a Controller's are BadResponse and change nothing", async () => {
  await withController(async (controller, client) => {
    await signedIn(client);
    await client.setRouter(router);
    const json = "application/json";
    const actions = [
      { type: "answer", status: 200, body: "<form>log in</form>" },
      { type: "answer", status: 200, contentType: json, body: '{"host":"x"}' },
      { type: "answer", status: 200, contentType: json, body: "[]" },
      { type: "answer", status: 404, body: "no such host" },
      { type: "answer", status: 503, body: "upstream is down" },
      { type: "answer", status: 302, location: "http://elsewhere.example/" },
      { type: "cut" },
    ] as const;
    for (const action of actions) {
      controller.breakAt({ path: "/router", action });
      const error = await failure(client.router());
      assertEquals(error.code, "BadResponse", JSON.stringify(action));
    }
    assertEquals(await client.router(), router);
  });
});

Deno.test("a partial answer is named by its missing fields", async () => {
  await withController(async (controller, client) => {
    const body = '{"status":"online","versions":{}}';
    controller.breakAt({ action: { type: "answer", status: 200, contentType: "application/json", body } });
    const error = await failure(client.status());
    assertEquals(
      error.message,
      "GET /status: unusable answer: missing or of another type: timestamp, uptimeSec, versions.controller",
    );
  });
});

Deno.test("a Controller that hangs is given up at the deadline; nothing is left behind", async () => {
  const controller = await startController();
  const client = createControllerClient({ baseUrl: controller.url, deadlineMs: 20 });
  controller.breakAt({ action: { type: "hang", ms: 60_000 } });
  const error = await failure(client.status());
  assertEquals([error.code, error.retryable], ["DeadlineExceeded", true]);
  assert(error.message.includes("within 20 ms"), error.message);
  client.close();
  await controller.close();
});

Deno.test("a proxy in the environment does not come between the client and loopback", async () => {
  const before = Deno.env.get("HTTP_PROXY");
  Deno.env.set("HTTP_PROXY", "http://127.0.0.1:9");
  try {
    await withController(async (_, client) => {
      assertEquals((await client.status()).status, "online");
    });
  } finally {
    if (before === undefined) Deno.env.delete("HTTP_PROXY");
    else Deno.env.set("HTTP_PROXY", before);
  }
});
