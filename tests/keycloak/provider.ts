/** A realm of the stand-in: a real OpenID provider under Keycloak's paths, on plain HTTP within this process. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Provider } from "oidc-provider";

/** What may change while it runs; read with each token. */
export interface Issuing {
  readonly clientId: string;
  clientSecret: string;
  /** Client roles of the service account, as the Controller reads them. */
  roles: readonly string[];
  /** Roles in Keycloak itself. */
  adminRoles: readonly string[];
  /** Whom tokens are for. */
  audience: string;
  tokenSeconds: number;
}

/** One realm. */
export interface OpenIdProvider {
  /** Where its requests go, with `/realms/<realm>` in the path. */
  readonly port: number;
  close(): Promise<void>;
}

/** @param issuer Its address as clients see it, e.g. `https://127.0.0.1:40123/realms/pot`. */
export async function startProvider(
  issuer: string,
  privateKey: JsonWebKey,
  issuing: Issuing,
): Promise<OpenIdProvider> {
  const prefix = new URL(issuer).pathname;
  const openid = `/protocol/openid-connect`;
  const provider = new Provider(issuer, {
    adapter: Nothing,
    clients: [{
      client_id: issuing.clientId,
      client_secret: issuing.clientSecret,
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: "client_secret_post",
    }],
    jwks: { keys: [{ ...privateKey, use: "sig", alg: "RS256" }] },
    ttl: { ClientCredentials: () => issuing.tokenSeconds },
    routes: {
      authorization: `${openid}/auth`,
      token: `${openid}/token`,
      jwks: `${openid}/certs`,
      userinfo: `${openid}/userinfo`,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:pot",
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "",
          audience: issuing.audience,
          accessTokenTTL: issuing.tokenSeconds,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    extraTokenClaims: () => ({
      typ: "Bearer",
      preferred_username: `service-account-${issuing.clientId}`,
      resource_access: {
        [issuing.clientId]: { roles: issuing.roles },
        "realm-management": { roles: issuing.adminRoles },
      },
    }),
  });
  provider.proxy = true;
  const handle = provider.callback();
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    // A client that was told to go around its proxy sends the whole URL.
    const originalUrl = (request.url ?? "").replace(/^https?:\/\/[^/]*/, "");
    // As Express does where something is mounted below a path.
    Object.assign(request, { originalUrl, url: originalUrl.slice(prefix.length) });
    void handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The provider's store. Tokens of a service account are JWTs: there is nothing to keep. */
class Nothing {
  upsert(): Promise<void> {
    return Promise.resolve();
  }
  find(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
  findByUserCode = this.find;
  findByUid = this.find;
  consume = this.upsert;
  destroy = this.upsert;
  revokeByGrantId = this.upsert;
}
