/**
 * The typed API of one ioFog Controller, as a control plane needs it.
 *
 * Every function ends within the deadline (times two where it has to log in again) and throws nothing but
 * `ControllerError`. What is read is checked against a schema: a success with a partial body is a `BadResponse`.
 * Dialect: Controller 3.0.4.
 */

import type { z } from "zod";
import { badResponse } from "./answer.ts";
import { isNotFound } from "./errors.ts";
import {
  configSchema,
  type ControllerStatus,
  type DefaultRouter,
  type Profile,
  profileSchema,
  routerSchema,
  type SignedUp,
  signUpSchema,
  statusSchema,
} from "./schemas.ts";
import { type Credentials, Session } from "./session.ts";
import {
  type ControllerRequest,
  type ControllerTransportOptions,
  createControllerTransport,
} from "./transport.ts";

/** What sign-up wants: names of at least 3 characters, a password of at least 8. */
export interface SignUp extends Credentials {
  readonly firstName: string;
  readonly lastName: string;
}

/** The default router as it is written; ports are 1 to 65535. */
export interface RouterAddress {
  readonly host: string;
  readonly messagingPort: number;
  readonly edgeRouterPort: number;
  readonly interRouterPort: number;
}

/** What every function takes last. */
export interface CallOptions {
  readonly abortSignal?: AbortSignal | undefined;
}

/** One Controller, and one user's session at it. */
export interface ControllerClient {
  /** Needs no login. */
  status(options?: CallOptions): Promise<ControllerStatus>;
  /** Needs no login. Throws an error for which `isAccountExists` holds where the e-mail has an account. */
  signUp(user: SignUp, options?: CallOptions): Promise<SignedUp>;
  /** Remembers the credentials when they work. Otherwise `isInvalidCredentials` holds, and the ones before stay. */
  login(credentials: Credentials, options?: CallOptions): Promise<void>;
  profile(options?: CallOptions): Promise<Profile>;
  /** What is left out stays as it is. */
  updateProfile(
    names: { readonly firstName?: string; readonly lastName?: string },
    options?: CallOptions,
  ): Promise<void>;
  /**
   * Once this returns, a login with the new password has succeeded, and all tokens from before are dead.
   *
   * When it throws a retryable error the password may be either of the two: `login` tells.
   */
  changePassword(
    change: { readonly oldPassword: string; readonly newPassword: string },
    options?: CallOptions,
  ): Promise<void>;
  /** The default router, undefined until it has been set. */
  router(options?: CallOptions): Promise<DefaultRouter | undefined>;
  /** Creates or replaces it; the Controller would set ports that are left out to its defaults, so none is. */
  setRouter(router: RouterAddress, options?: CallOptions): Promise<void>;
  /** A value of the Controller's key-value store, undefined where the key is not there. */
  config(key: string, options?: CallOptions): Promise<string | undefined>;
  setConfig(key: string, value: string, options?: CallOptions): Promise<void>;
  /** Closes connections; requests under way are aborted. */
  close(): void;
}

/**
 * A client; nothing is sent before the first call.
 *
 * @throws TypeError when the address or the CA is unusable.
 */
export function createControllerClient(options: ControllerTransportOptions): ControllerClient {
  const transport = createControllerTransport(options);
  const session = new Session(transport);
  const bare = async <T>(schema: z.ZodType<T>, request: ControllerRequest) =>
    parsed(schema, request, await transport.performRequest(request));
  const read = async <T>(schema: z.ZodType<T>, request: ControllerRequest) =>
    parsed(schema, request, await session.send(request));
  const write = async (request: ControllerRequest) => void await session.send(request);

  return {
    status: (call) => bare(statusSchema, { ...call, method: "GET", route: "/status" }),

    signUp: ({ firstName, lastName, email, password }, call) =>
      bare(signUpSchema, {
        ...call,
        method: "POST",
        route: "/user/signup",
        bodyJson: { firstName, lastName, email, password },
        secrets: [password],
      }),

    login: (credentials, call) => session.login(credentials, call?.abortSignal),

    profile: (call) => read(profileSchema, { ...call, method: "GET", route: "/user/profile" }),

    updateProfile: ({ firstName, lastName }, call) =>
      write({ ...call, method: "PATCH", route: "/user/profile", bodyJson: { firstName, lastName } }),

    changePassword: ({ oldPassword, newPassword }, call) =>
      session.replacePassword({
        ...call,
        method: "PATCH",
        route: "/user/password",
        bodyJson: { oldPassword, newPassword },
        secrets: [oldPassword, newPassword],
      }, newPassword),

    router: (call) => found(read(routerSchema, { ...call, method: "GET", route: "/router" })),

    setRouter: ({ host, messagingPort, edgeRouterPort, interRouterPort }, call) =>
      write({
        ...call,
        method: "PUT",
        route: "/router",
        templated: true,
        bodyJson: { host, messagingPort, edgeRouterPort, interRouterPort },
      }),

    config: async (key, call) => {
      const parameters = { key };
      const entry = await found(
        read(configSchema, { ...call, method: "GET", route: "/config/:key", parameters }),
      );
      return entry?.value;
    },

    setConfig: (key, value, call) =>
      write({ ...call, method: "PUT", route: "/config", templated: true, bodyJson: { key, value } }),

    close: () => transport.close(),
  };
}

function parsed<T>(schema: z.ZodType<T>, request: ControllerRequest, answer: unknown): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  // The paths only: a value may be a secret.
  const paths = result.error.issues.map((issue) => issue.path.join(".") || "the body").join(", ");
  throw badResponse(`${request.method} ${request.route}`, 200, `missing or of another type: ${paths}`);
}

async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    // By name: the HTML 404 of a proxy or of another server must not look as if nothing were set.
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
