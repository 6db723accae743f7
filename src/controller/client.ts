/**
 * The typed API of one ioFog Controller, as a control plane needs it.
 *
 * Every function ends within the deadline (times two where it has to log in again) and throws nothing but
 * `ControllerError`. What is read is checked against a schema: a success with a partial body is a `BadResponse`.
 * Dialect: Controller 3.0.4.
 */

import { type CommonCalls, createCommonCalls } from "./calls.ts";
import { type CallOptions, createRequests } from "./requests.ts";
import { type Profile, profileSchema, type SignedUp, signUpSchema } from "./schemas.ts";
import { type Credentials, Session } from "./session.ts";
import { type ControllerTransportOptions, createControllerTransport } from "./transport.ts";

/** What sign-up wants: names of at least 3 characters, a password of at least 8. */
export interface SignUp extends Credentials {
  readonly firstName: string;
  readonly lastName: string;
}

/** One Controller, and one user's session at it. */
export interface ControllerClient extends CommonCalls {
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
}

/**
 * A client; nothing is sent before the first call.
 *
 * @throws TypeError when the address or the CA is unusable.
 */
export function createControllerClient(options: ControllerTransportOptions): ControllerClient {
  const transport = createControllerTransport(options);
  const session = new Session(transport);
  const requests = createRequests(transport, session);
  const { bare, read, write } = requests;
  return {
    ...createCommonCalls(requests, transport),

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
  };
}
