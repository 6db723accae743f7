/**
 * The typed API of one Controller of Datasance PoT, as a control plane needs it. Dialect: Controller 3.7.3.
 *
 * Every function ends within the deadline (of the Controller and of Keycloak together, times two where a token has to be
 * renewed) and throws nothing but `ControllerError`; where it is about Keycloak, that is a `KeycloakError`. What is read
 * is checked against a schema, and what nobody needs of it, such as the private keys of authorities, is dropped there.
 */

import { type CommonCalls, createCommonCalls } from "./calls.ts";
import { type CallOptions, createRequests, found } from "./requests.ts";
import { isConflict } from "./errors.ts";
import type { KeycloakClient } from "./keycloak.ts";
import { PotSession } from "./pot_session.ts";
import {
  certificateAuthoritiesSchema,
  certificateAuthoritySchema,
  type ImportedAuthority,
  type ListedAuthority,
  type NatsAccount,
  natsAccountsSchema,
  type NatsBootstrap,
  natsBootstrapSchema,
  type NatsHub,
  natsHubSchema,
} from "./schemas.ts";
import { type ControllerTransportOptions, createControllerTransport } from "./transport.ts";

/** The NATS hub as it is written; ports are 1 to 65535. */
export interface NatsHubAddress {
  readonly host: string;
  readonly serverPort: number;
  readonly clusterPort: number;
  readonly leafPort: number;
  readonly mqttPort: number;
  readonly httpPort: number;
}

/** One Controller, and the operator's session at it. */
export interface PotControllerClient extends CommonCalls {
  /** The NATS hub, undefined until it has been set. */
  natsHub(options?: CallOptions): Promise<NatsHub | undefined>;
  /** Creates or replaces it; a port that is left out would be set to its default, so none is. Needs the role admin. */
  setNatsHub(hub: NatsHubAddress, options?: CallOptions): Promise<void>;
  /**
   * Operator, system account and its user, which the Controller makes when it is first asked. Needs the role admin.
   *
   * Throws `ForbiddenError` where the Controller does not know that it runs in Kubernetes.
   */
  natsBootstrap(options?: CallOptions): Promise<NatsBootstrap>;
  /** All of them, the system's too. */
  natsAccounts(options?: CallOptions): Promise<readonly NatsAccount[]>;
  certificateAuthorities(options?: CallOptions): Promise<readonly ListedAuthority[]>;
  /** Its certificate; undefined where there is none of that name. */
  certificateAuthority(name: string, options?: CallOptions): Promise<ImportedAuthority | undefined>;
  /**
   * Has the Controller copy the authority from the Secret of its own namespace with this name.
   *
   * Nothing happens where it has one of that name, be it another: `certificateAuthority` tells.
   */
  importCertificateAuthority(name: string, options?: CallOptions): Promise<void>;
}

/** How to reach the Controller, and who gives out tokens for it. */
export interface PotControllerClientOptions extends ControllerTransportOptions {
  /** Not closed with this client: others may use it too. */
  readonly keycloak: KeycloakClient;
}

/**
 * A client; nothing is sent before the first call.
 *
 * @throws TypeError when the address or the CA is unusable.
 */
export function createPotControllerClient(options: PotControllerClientOptions): PotControllerClient {
  const transport = createControllerTransport(options);
  const requests = createRequests(transport, new PotSession(transport, options.keycloak));
  const { read, write } = requests;
  return {
    ...createCommonCalls(requests, transport),

    natsHub: (call) => found(read(natsHubSchema, { ...call, method: "GET", route: "/nats/hub" })),

    setNatsHub: ({ host, serverPort, clusterPort, leafPort, mqttPort, httpPort }, call) =>
      write({
        ...call,
        method: "PUT",
        route: "/nats/hub",
        templated: true,
        bodyJson: { host, serverPort, clusterPort, leafPort, mqttPort, httpPort },
      }),

    natsBootstrap: (call) => read(natsBootstrapSchema, { ...call, method: "GET", route: "/nats/bootstrap" }),

    natsAccounts: async (call) =>
      (await read(natsAccountsSchema, { ...call, method: "GET", route: "/nats/accounts" })).accounts,

    certificateAuthorities: async (call) =>
      (await read(certificateAuthoritiesSchema, { ...call, method: "GET", route: "/certificates/ca" })).cas,

    certificateAuthority: async (name, call) => {
      const authority = await found(read(certificateAuthoritySchema, {
        ...call,
        method: "GET",
        route: "/certificates/ca/:name",
        parameters: { name },
      }));
      if (authority === undefined) return undefined;
      return { name: authority.name, certificatePem: authority.data.certificate };
    },

    importCertificateAuthority: async (name, call) => {
      try {
        await write({
          ...call,
          method: "POST",
          route: "/certificates/ca",
          bodyJson: { name, type: "k8s-secret", secretName: name },
        });
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    },
  };
}
