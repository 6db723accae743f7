/**
 * What a control plane says to Controller 3.0.4 and hears from it, in the order in which it was recorded.
 *
 * Source: requests and answers recorded from a running Controller 3.0.4: what they tell of users,
 * passwords, tokens and the router; the rest ("measured") was recorded from a running 3.0.4. Written for a server
 * whose database is empty: an exchange depends on the ones before it.
 */

/** Which `Authorization` header is sent; `first` and `second` are the tokens of the last login of each user. */
export type Sender = "nobody" | "first" | "second" | "bearer" | "wrong" | "empty";

/** One request and its answer. */
export interface Exchange {
  readonly as?: Sender;
  readonly method: string;
  /** Below `/api/v3`. */
  readonly path: string;
  /** Sent as JSON, or as it is where it is text. */
  readonly body?: unknown;
  readonly status: number;
  /** The JSON of the answer with volatile values normalised, `html`, or undefined for none. */
  readonly answer?: unknown;
  /** Keep the token of the answer as this user's. */
  readonly keepToken?: "first" | "second";
  /** Lets the tokens expire that were not used since their login. */
  readonly afterExpiry?: boolean;
  /** Not in appendix A. */
  readonly measured?: boolean;
}

/** Exchanges that belong together. */
export interface Chapter {
  readonly title: string;
  readonly exchanges: readonly Exchange[];
}

const validation = (message: string) => ({ name: "ValidationError", message });
const unauthorized = { name: "AuthenticationError", message: "authorization failed" };
const noHeader = {
  name: "Error",
  message: 'WHERE parameter "token" has invalid "undefined" value',
  stack: "<stack>",
};
const noRouter = { name: "NotFoundError", message: "Invalid router 'default-router'" };
const signUp = (
  exchange: { body: unknown; status: number; answer: unknown; measured?: boolean },
): Exchange => ({
  method: "POST",
  path: "/user/signup",
  ...exchange,
});
const login = (exchange: Omit<Exchange, "method" | "path">): Exchange => ({
  method: "POST",
  path: "/user/login",
  ...exchange,
});
const first = { email: "op@example.com", password: "Sup3rSecret!" };
const second = { email: "two@example.com", password: "An0therSecret" };
const operator = { firstName: "Opx", lastName: "Erator", email: "op@example.com" };
const maximum = (name: string, value: number) =>
  validation(JSON.stringify({
    property: `instance.${name}`,
    message: "must have a maximum value of 65535",
    schema: { type: "integer", minimum: 1, maximum: 65535 },
    instance: value,
    name: "maximum",
    argument: 65535,
    stack: `instance.${name} must have a maximum value of 65535`,
  }));
const times = { createdAt: "<time>", updatedAt: "<time>" };
const newRow = (host: string, messagingPort = 5672, edgeRouterPort = 56722, interRouterPort = 56721) => ({
  id: 1,
  isEdge: false,
  messagingPort,
  edgeRouterPort,
  interRouterPort,
  host,
  isDefault: true,
  ...times,
});
const row = (...args: Parameters<typeof newRow>) => ({
  ...newRow(...args),
  iofog_uuid: null,
  iofogUuid: null,
});
const put = (path: string, body: unknown, status: number, answer: unknown, more: Partial<Exchange> = {}) => ({
  as: "first" as const,
  method: "PUT",
  path,
  body,
  status,
  answer,
  ...more,
});
const get = (path: string, status: number, answer: unknown, more: Partial<Exchange> = {}): Exchange => ({
  as: "first",
  method: "GET",
  path,
  status,
  answer,
  ...more,
});
const measured = { measured: true };
const nobody = { as: "nobody" as const };

export const chapters: readonly Chapter[] = [
  {
    title: "A.1 status",
    exchanges: [
      get("/status", 200, {
        status: "online",
        timestamp: "<number>",
        uptimeSec: "<number>",
        versions: { controller: "3.0.4", ecnViewer: "3.0.2" },
      }, nobody),
      get("/fog-types/", 200, {
        fogTypes: [
          {
            id: 0,
            name: "Unspecified",
            image: "iointegrator0.png",
            description: "Unspecified device. Fog Type will be selected on provision",
          },
          {
            id: 1,
            name: "Standard Linux (x86)",
            image: "iointegrator1.png",
            description:
              "A standard Linux server of at least moderate processing power and capacity. Compatible with common Linux types such as Ubuntu, Red Hat, and CentOS.",
          },
          {
            id: 2,
            name: "ARM Linux",
            image: "iointegrator2.png",
            description:
              "A version of ioFog meant to run on Linux systems with ARM processors. Microservices for this ioFog type will be tailored to ARM systems.",
          },
        ],
      }, nobody),
      get("/email-activation", 200, { isEmailActivationEnabled: false }, nobody),
      get("/iofog-list", 500, noHeader, nobody),
      { method: "HEAD", path: "/capabilities/edgeResources", status: 204, measured: true },
      { method: "HEAD", path: "/capabilities/applicationTemplates", status: 204, measured: true },
      { method: "HEAD", path: "/capabilities/nats", status: 404, measured: true },
      get("/capabilities/edgeResources", 404, "html", { ...nobody, ...measured }),
    ],
  },
  {
    title: "A.1 sign-up",
    exchanges: [
      signUp({ body: {}, status: 400, answer: validation("Required field 'email' is missing"), ...measured }),
      signUp({
        body: { firstName: "Op", lastName: "Erator", ...first },
        status: 400,
        answer: validation("Field firstName does not meet minimum length of 3"),
      }),
      signUp({
        body: { firstName: "a", lastName: "b", email: "x", password: "y" },
        status: 400,
        answer: validation("Field firstName does not meet minimum length of 3"),
        ...measured,
      }),
      signUp({
        body: { email: 5, password: "short", firstName: "abc", lastName: "abc" },
        status: 400,
        answer: validation("Field 'email' is not of a type(s) string"),
        ...measured,
      }),
      signUp({
        body: { firstName: null, lastName: "abc", ...first },
        status: 400,
        answer: validation("Field 'firstName' is not of a type(s) string"),
        ...measured,
      }),
      signUp({
        body: [],
        status: 400,
        answer: validation("Field 'instance' is not of a type(s) object"),
        ...measured,
      }),
      signUp({
        body: { ...operator, ...first },
        status: 201,
        answer: { userId: 1, ...operator, emailActivated: true },
      }),
      signUp({
        body: { firstName: "Operator", lastName: "Bot", ...first },
        status: 400,
        answer: validation(
          "Registration failed: There is already an account associated with your email address. Please try logging in instead.",
        ),
      }),
      signUp({
        body: { firstName: "Operator", lastName: "Bot", email: "bad", password: "Sup3rSecret!" },
        status: 400,
        answer: validation("Invalid format for field 'email'"),
      }),
      signUp({
        body: { firstName: "Operator", lastName: "Bot", email: "b@example.com", password: "short" },
        status: 400,
        answer: validation("Field password does not meet minimum length of 8"),
      }),
      signUp({
        body: { firstName: "Operator" },
        status: 400,
        answer: validation("Required field 'email' is missing"),
      }),
      signUp({
        body: first,
        status: 400,
        answer: validation("Required field 'firstName' is missing"),
        ...measured,
      }),
    ],
  },
  {
    title: "A.1 login",
    exchanges: [
      login({
        body: { email: first.email, password: "nope" },
        status: 401,
        answer: { name: "InvalidCredentialsError", message: "Invalid credentials" },
      }),
      login({
        body: { email: "nobody@example.com", password: "nope" },
        status: 401,
        answer: { name: "InvalidCredentialsError", message: "Invalid credentials" },
      }),
      login({
        body: { email: "OP@example.com", password: first.password },
        status: 401,
        answer: { name: "InvalidCredentialsError", message: "Invalid credentials" },
        ...measured,
      }),
      login({
        body: { email: first.email },
        status: 400,
        answer: validation("Required field 'password' is missing"),
      }),
      login({
        body: { email: "bad" },
        status: 400,
        answer: validation("Invalid format for field 'email'"),
        ...measured,
      }),
      login({
        body: { email: first.email, password: 5 },
        status: 400,
        answer: validation("Field 'password' is not of a type(s) string"),
        ...measured,
      }),
      login({ body: first, status: 200, answer: { accessToken: "<token>" }, keepToken: "first" }),
      get("/iofog-list", 401, unauthorized, { as: "bearer" }),
      get("/iofog-list", 401, unauthorized, { as: "wrong" }),
      get("/iofog-list", 401, unauthorized, { as: "empty", ...measured }),
      get("/iofog-list", 200, { fogs: [] }),
      get("/user/profile", 200, operator),
      get("/nope", 404, "html"),
      { method: "DELETE", path: "/status", status: 404, answer: "html", measured: true },
      get("/STATUS/?x=1", 200, {
        status: "online",
        timestamp: "<number>",
        uptimeSec: "<number>",
        versions: { controller: "3.0.4", ecnViewer: "3.0.2" },
      }, { ...nobody, ...measured }),
      login({ body: "{bad", status: 400, answer: "html" }),
      login({ body: '"text"', status: 400, answer: "html", ...measured }),
      login({
        body: { email: first.email, password: "x".repeat(102_400) },
        status: 413,
        answer: "html",
        ...measured,
      }),
    ],
  },
  {
    title: "A.2 default router",
    exchanges: [
      get("/router", 500, noHeader, { ...nobody, ...measured }),
      get("/router", 404, noRouter),
      get("/iofog-list", 200, { fogs: [] }),
      put("/router", {}, 400, validation("Required field 'host' is missing")),
      put("/router", {}, 401, unauthorized, { as: "wrong", ...measured }),
      put("/router", { host: "router.example", messagingPort: 70000 }, 400, maximum("messagingPort", 70000)),
      put(
        "/router",
        { host: "h", messagingPort: 0 },
        400,
        validation("messagingPort must have a minimum value of 1"),
        measured,
      ),
      put(
        "/router",
        { host: "h", messagingPort: "5" },
        400,
        validation("Field 'messagingPort' is not of a type(s) integer"),
        measured,
      ),
      put(
        "/router",
        { host: 5, edgeRouterPort: 70000, interRouterPort: 1.5 },
        400,
        validation("Field 'interRouterPort' is not of a type(s) integer"),
        measured,
      ),
      put("/router", { host: "router.example" }, 200, newRow("router.example")),
      get("/router", 200, {
        host: "router.example",
        messagingPort: 5672,
        edgeRouterPort: 56722,
        interRouterPort: 56721,
      }),
      ...[1, 2].map(() =>
        put(
          "/router",
          { host: "router.example", messagingPort: 5672, interRouterPort: 55671, edgeRouterPort: 45671 },
          200,
          row("router.example", 5672, 45671, 55671),
        )
      ),
      get("/router", 200, {
        host: "router.example",
        messagingPort: 5672,
        edgeRouterPort: 45671,
        interRouterPort: 55671,
      }),
    ],
  },
  {
    title: "A.2 config",
    exchanges: [
      get("/config", 200, { config: [] }),
      get("/config/nope", 404, { name: "NotFoundError", message: "Unkown config key 'nope'" }, measured),
      put("/config", { key: "default-proxy-host", value: "proxy.example" }, 200, {
        id: 1,
        key: "default-proxy-host",
        value: "proxy.example",
        ...times,
      }),
      put("/config", { key: "nope", value: "proxy.example" }, 200, {
        id: 2,
        key: "nope",
        value: "proxy.example",
        ...times,
      }),
      get("/config/default-proxy-host", 200, { key: "default-proxy-host", value: "proxy.example" }),
      get("/config/nope", 200, { key: "nope", value: "proxy.example" }),
      get("/config", 200, {
        config: [{ key: "default-proxy-host", value: "proxy.example" }, {
          key: "nope",
          value: "proxy.example",
        }],
      }),
      put("/config", { key: "nope", value: "" }, 200, { id: 2, key: "nope", value: "", ...times }, measured),
      put(
        "/config",
        { key: "", value: "x" },
        400,
        validation("Field key does not meet minimum length of 1"),
        measured,
      ),
      put("/config", { key: "k" }, 400, validation("Required field 'value' is missing"), measured),
      put(
        "/config",
        { key: "k", value: 5 },
        400,
        validation("Field 'value' is not of a type(s) string"),
        measured,
      ),
      put(
        "/config",
        { key: "a b/c", value: "1" },
        200,
        { id: 3, key: "a b/c", value: "1", ...times },
        measured,
      ),
      get("/config/a%20b%2Fc", 200, { key: "a b/c", value: "1" }, measured),
      get("/config/%zz", 400, "html", measured),
    ],
  },
  {
    title: "A.12 Liquid templating, on the routes of a control plane",
    exchanges: [
      put("/router", { host: "{{ x }}" }, 400, validation("Required field 'host' is missing"), measured),
      put(
        "/router",
        { host: "{{ 5 }}" },
        400,
        validation("Field 'host' is not of a type(s) string"),
        measured,
      ),
      put("/router", { host: "a{{ x }}b" }, 200, row("aundefinedb"), measured),
      put(
        "/router",
        { host: "{{ oops" },
        200,
        row('TokenizationError: output "{{ oops" not closed, line:1, col:1'),
        measured,
      ),
      put(
        "/router",
        { host: "100{%" },
        200,
        row('TokenizationError: tag "{%" not closed, line:1, col:4'),
        measured,
      ),
      put("/router", { host: "{% raw %}{{ keep }}{% endraw %}" }, 200, row("{{ keep }}"), measured),
      put(
        "/router",
        { host: '{{ "{" }}{ keep }} {{ "{" }}% endraw %}' },
        200,
        row("{{ keep }} {% endraw %}"),
        measured,
      ),
      put(
        "/router",
        { host: "h", messagingPort: "{{ 5 }}", edgeRouterPort: "{{ self.messagingPort | plus: 1 }}" },
        200,
        row("h", 5, 6),
        measured,
      ),
      put("/config", { key: '{{ "q" }}', value: "{{ self.key }}${x}" }, 200, {
        id: 4,
        key: "q",
        value: "q${x}",
        ...times,
      }, measured),
      // Profiles are not templated.
      {
        as: "first",
        method: "PATCH",
        path: "/user/profile",
        body: { lastName: "{{ 5 }}" },
        status: 200,
        answer: { lastName: "{{ 5 }}", email: first.email },
        measured: true,
      },
      {
        as: "first",
        method: "PATCH",
        path: "/user/profile",
        body: { lastName: "Erator" },
        status: 200,
        answer: { lastName: "Erator", email: first.email },
        measured: true,
      },
    ],
  },
  {
    title: "A.10 two users",
    exchanges: [
      signUp({
        body: { firstName: "Second", lastName: "User", ...second },
        status: 201,
        answer: {
          userId: 2,
          firstName: "Second",
          lastName: "User",
          email: second.email,
          emailActivated: true,
        },
      }),
      login({ body: second, status: 200, answer: { accessToken: "<token>" }, keepToken: "second" }),
      get("/iofog-list", 200, { fogs: [] }, { as: "second" }),
      put("/router", { host: "hijack" }, 200, row("hijack"), { as: "second" }),
      get("/router", 200, {
        host: "hijack",
        messagingPort: 5672,
        edgeRouterPort: 56722,
        interRouterPort: 56721,
      }),
      put(
        "/router",
        { host: "router.example", messagingPort: 5672, interRouterPort: 55671, edgeRouterPort: 45671 },
        200,
        row("router.example", 5672, 45671, 55671),
      ),
      { as: "second", method: "DELETE", path: "/user/profile", status: 204 },
      get("/user/profile", 401, unauthorized, { as: "second", ...measured }),
      login({
        body: second,
        status: 401,
        answer: { name: "InvalidCredentialsError", message: "Invalid credentials" },
        ...measured,
      }),
      signUp({
        body: { firstName: "Third", lastName: "User", ...second },
        status: 201,
        answer: {
          userId: 3,
          firstName: "Third",
          lastName: "User",
          email: second.email,
          emailActivated: true,
        },
        ...measured,
      }),
    ],
  },
  {
    title: "A.12 token expiry, profile and password",
    exchanges: [
      // A new token, since each use of the old one has made its life longer.
      login({
        body: first,
        status: 200,
        answer: { accessToken: "<token>" },
        keepToken: "first",
        ...measured,
      }),
      get("/user/profile", 401, { name: "AuthenticationError", message: "token expired" }, {
        afterExpiry: true,
      }),
      login({
        body: first,
        status: 200,
        answer: { accessToken: "<token>" },
        keepToken: "first",
        ...measured,
      }),
      ...[
        [{}, "Required field 'oldPassword' is missing"],
        [{ oldPassword: "bad" }, "Required field 'newPassword' is missing"],
        [{ oldPassword: "bad", newPassword: "short" }, "Field newPassword does not meet minimum length of 8"],
        [{ oldPassword: "bad", newPassword: "N3wSecret!!" }, "Old password is incorrect"],
      ].map(([body, message]): Exchange => ({
        as: "first",
        method: "PATCH",
        path: "/user/password",
        body,
        status: 400,
        answer: validation(`${message}`),
      })),
      {
        as: "first",
        method: "PATCH",
        path: "/user/password",
        body: { oldPassword: first.password, newPassword: "N3wSecret!!" },
        status: 204,
      },
      get("/user/profile", 401, unauthorized),
      login({
        body: first,
        status: 401,
        answer: { name: "InvalidCredentialsError", message: "Invalid credentials" },
        ...measured,
      }),
      login({
        body: { email: first.email, password: "N3wSecret!!" },
        status: 200,
        answer: { accessToken: "<token>" },
        keepToken: "first",
      }),
      {
        as: "first",
        method: "PATCH",
        path: "/user/password",
        body: { oldPassword: "N3wSecret!!", newPassword: first.password },
        status: 204,
      },
      { as: "first", method: "POST", path: "/user/logout", status: 401, measured: true },
      { as: "nobody", method: "POST", path: "/user/logout", status: 500, measured: true },
      login({ body: first, status: 200, answer: { accessToken: "<token>" }, keepToken: "first" }),
      { as: "first", method: "POST", path: "/user/logout", status: 204 },
      get("/user/profile", 401, unauthorized, measured),
      login({ body: first, status: 200, answer: { accessToken: "<token>" }, keepToken: "first" }),
      get("/user/profile", 200, operator),
      {
        as: "first",
        method: "PATCH",
        path: "/user/profile",
        body: { firstName: "New" },
        status: 200,
        answer: { firstName: "New", email: first.email },
      },
      get("/user/profile", 200, { ...operator, firstName: "New" }),
      {
        as: "first",
        method: "PATCH",
        path: "/user/profile",
        body: { firstName: "ab" },
        status: 400,
        answer: validation("Field firstName does not meet minimum length of 3"),
        measured: true,
      },
      ...([
        [{}, 500, { ...validation("Required field 'email' is missing"), stack: "<stack>" }],
        [{ email: "nobody@example.com" }, 404, { name: "NotFoundError", message: "Account not found" }],
        [{ email: first.email }, 500, {
          name: "EmailActivationSetupError",
          message: "Email activation is not configured on Controller",
          stack: "<stack>",
        }],
      ] as const).map(([body, status, answer]): Exchange => ({
        method: "DELETE",
        path: "/user/password",
        body,
        status,
        answer,
        measured: true,
      })),
    ],
  },
];
