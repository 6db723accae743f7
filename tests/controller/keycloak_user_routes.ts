/**
 * Login and profile of 3.7.3, which has no users of its own: it asks Keycloak with the password of a person (seen on
 * Controller 3.7.3). No person is known here. Without Keycloak it says yes to everybody, and then knows nobody.
 */

import { authenticated, type Call, type Route, type World } from "./route.ts";
import { type BodySchema, Failure, validate } from "./validation.ts";

const invalid = { ValidationError: 400, InvalidCredentialsError: 401 };

const keycloakUserRoutesOf373: readonly Omit<Route, "only">[] = [
  { method: "POST", path: "/user/login", success: 200, failures: invalid, handle: login },
  { method: "POST", path: "/user/refresh", success: 200, failures: invalid, handle: refresh },
  { method: "GET", path: "/user/profile", success: 200, handle: readProfile },
  {
    method: "POST",
    path: "/user/logout",
    success: 204,
    handle: (world, call) => void authenticated(world, call),
  },
];

export const keycloakUserRoutes: readonly Route[] = keycloakUserRoutesOf373
  .map((route) => ({ ...route, only: "3.7.3" }));

const text = { type: "string" } as const;
const credentials: BodySchema = {
  properties: { email: text, password: text },
  required: ["email", "password"],
};
const refreshing: BodySchema = { properties: { refreshToken: text }, required: ["refreshToken"] };
const mocked = { accessToken: "mock-access-token", refreshToken: "mock-refresh-token" };

function login(world: World, { body }: Call) {
  validate(body, credentials);
  return mockedOrRefused(world);
}

function refresh(world: World, { body }: Call) {
  validate(body, refreshing);
  return mockedOrRefused(world);
}

function mockedOrRefused({ realm }: World) {
  if (realm === undefined) return mocked;
  throw new Failure("InvalidCredentialsError", "Invalid credentials");
}

function readProfile(world: World, call: Call) {
  // Never answers, as seen.
  if (world.realm === undefined) return new Promise(() => {});
  const { name } = authenticated(world, call);
  return { preferred_username: name, email: `${name}@placeholder.org` };
}
