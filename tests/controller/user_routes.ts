/** Sign-up, login, profile and password as 3.0.4 has them (seen on Controller 3.0.4). */

import { type Call, loggedIn, rejected, rejectedOrInvalid, type Route, type World } from "./route.ts";
import type { ControllerState, User } from "./state.ts";
import { registerSecret } from "../secrets.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

const ownUsers: readonly Omit<Route, "only">[] = [
  {
    method: "POST",
    path: "/user/login",
    success: 200,
    failures: { ValidationError: 400, InvalidCredentialsError: 401 },
    handle: login,
  },
  {
    method: "POST",
    path: "/user/logout",
    success: 204,
    failures: rejected,
    bodyless: true,
    handle: logout,
  },
  { method: "POST", path: "/user/signup", success: 201, failures: { ValidationError: 400 }, handle: signUp },
  { method: "GET", path: "/user/profile", success: 200, failures: rejected, handle: readProfile },
  { method: "PATCH", path: "/user/profile", success: 200, failures: rejectedOrInvalid, handle: writeProfile },
  { method: "DELETE", path: "/user/profile", success: 204, failures: rejected, handle: deleteUser },
  {
    method: "PATCH",
    path: "/user/password",
    success: 204,
    failures: rejectedOrInvalid,
    handle: changePassword,
  },
  {
    method: "DELETE",
    path: "/user/password",
    success: 204,
    failures: { NotFoundError: 404 },
    handle: resetPassword,
  },
];

export const userRoutes: readonly Route[] = ownUsers.map((route) => ({ ...route, only: "3.0.4" }));

const text: PropertySchema = { type: "string" };
const personName: PropertySchema = { type: "string", minLength: 3 };
const newPassword: PropertySchema = { type: "string", minLength: 8 };
const email: PropertySchema = {
  type: "string",
  pattern:
    '^(([^<>()\\[\\]\\\\.,;:\\s@"]+(\\.[^<>()\\[\\]\\\\.,;:\\s@"]+)*)|(".+"))@((\\[[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}])|(([a-zA-Z\\-0-9]+\\.)+[a-zA-Z]{2,}))$',
};

const schemas = {
  signUp: {
    properties: { firstName: personName, lastName: personName, email, password: newPassword },
    required: ["email", "password", "firstName", "lastName"],
  },
  login: { properties: { email, password: text }, required: ["email", "password"] },
  profile: { properties: { firstName: personName, lastName: personName }, required: [] },
  password: { properties: { oldPassword: text, newPassword }, required: ["oldPassword", "newPassword"] },
  reset: { properties: { email }, required: ["email"] },
} satisfies Record<string, BodySchema>;

function signUp({ state }: World, { body }: Call) {
  const user = validate(body, schemas.signUp) as unknown as Omit<User, "id">;
  if (state.users.some((other) => other.email === user.email)) {
    throw new Failure(
      "ValidationError",
      "Registration failed: There is already an account associated with your email address. " +
        "Please try logging in instead.",
    );
  }
  const { firstName, lastName, email, password } = user;
  const id = ++state.lastIds.users;
  registerSecret(password);
  state.users.push({ id, firstName, lastName, email, password });
  return { userId: id, firstName, lastName, email, emailActivated: true };
}

function login({ state, clock, tokenTtlMs }: World, { body }: Call) {
  const { email, password } = validate(body, schemas.login);
  const user = state.users.find((user) => user.email === email && user.password === password);
  if (user === undefined) throw new Failure("InvalidCredentialsError", "Invalid credentials");
  const token = [...crypto.getRandomValues(new Uint8Array(32))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  registerSecret(token);
  state.tokens.push({ token, userId: user.id, expiresAt: clock.now() + tokenTtlMs });
  return { accessToken: token };
}

function logout(world: World, call: Call) {
  const user = loggedIn(world, call);
  dropTokens(world.state, user);
}

function readProfile(world: World, call: Call) {
  const { firstName, lastName, email } = loggedIn(world, call);
  return { firstName, lastName, email };
}

/** Answers only what it changed, and the e-mail. */
function writeProfile(world: World, call: Call) {
  const user = loggedIn(world, call);
  const { firstName, lastName } = validate(call.body, schemas.profile) as Partial<User>;
  if (firstName !== undefined) user.firstName = firstName;
  if (lastName !== undefined) user.lastName = lastName;
  return { firstName, lastName, email: user.email };
}

function deleteUser(world: World, call: Call) {
  const user = loggedIn(world, call);
  dropTokens(world.state, user);
  world.state.users = world.state.users.filter((other) => other !== user);
}

function changePassword(world: World, call: Call) {
  const user = loggedIn(world, call);
  const change = validate(call.body, schemas.password);
  if (change.oldPassword !== user.password) throw new Failure("ValidationError", "Old password is incorrect");
  user.password = registerSecret(`${change.newPassword}`);
  dropTokens(world.state, user);
}

/** Would send an e-mail, which needs a set-up that a fresh Controller does not have. */
function resetPassword({ state }: World, { body }: Call) {
  const { email } = validate(body, schemas.reset);
  if (!state.users.some((user) => user.email === email)) {
    throw new Failure("NotFoundError", "Account not found");
  }
  throw new Failure("EmailActivationSetupError", "Email activation is not configured on Controller");
}

function dropTokens(state: ControllerState, user: User): void {
  state.tokens = state.tokens.filter((token) => token.userId !== user.id);
}
