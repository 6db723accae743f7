/**
 * The operator's login at a Controller of 3.7, with tokens that Keycloak gives out.
 *
 * A request whose token is rejected is sent once more with a new one. A Controller that rejects that as well trusts
 * another Keycloak, which no repetition mends: `TokenRefused`, which says what is in the token.
 */

import type { Sender } from "./requests.ts";
import { ControllerError, isTokenRejected } from "./errors.ts";
import type { KeycloakClient } from "./keycloak.ts";
import type { ControllerRequest, ControllerTransport } from "./transport.ts";

/** Sends requests in the name of the operator's service account. */
export class PotSession implements Sender {
  constructor(private readonly transport: ControllerTransport, private readonly keycloak: KeycloakClient) {}

  async send(request: ControllerRequest): Promise<unknown> {
    try {
      return await this.#sendWith(await this.#token(request), request);
    } catch (error) {
      if (!isTokenRejected(error)) throw error;
    }
    const token = await this.#token(request);
    try {
      return await this.#sendWith(token, request);
    } catch (error) {
      if (!isTokenRejected(error)) throw error;
      this.keycloak.rejectToken(token);
      throw new ControllerError(
        `${request.method} ${request.route}: the Controller refuses Keycloak's token, although it is new: ` +
          this.keycloak.describeToken(token),
        { status: error.status, code: "TokenRefused", cause: error },
      );
    }
  }

  #token({ abortSignal }: ControllerRequest): Promise<string> {
    return this.keycloak.accessToken({ abortSignal });
  }

  async #sendWith(token: string, request: ControllerRequest): Promise<unknown> {
    try {
      return await this.transport.performRequest({ ...request, authorization: `Bearer ${token}` });
    } catch (error) {
      if (isTokenRejected(error)) this.keycloak.rejectToken(token);
      throw error;
    }
  }
}
