/**
 * The Controller's answers, checked where they come in. Unknown properties are dropped, missing ones are an error.
 *
 * Source: the sources of Controller 3.0.4, checked against a running 3.0.4; of 3.7.3 its sources and answers recorded
 * from a running one.
 */

import * as z from "zod";

/** `GET /status`; needs no login. */
export const statusSchema = z.object({
  /** `online`, or `offline` while the Controller's own process file is missing. */
  status: z.string(),
  /** Milliseconds since the epoch, on the Controller's clock. */
  timestamp: z.number(),
  /** Seconds since its start. */
  uptimeSec: z.number(),
  versions: z.object({
    /** E.g. `3.0.4`; decides the dialect. */
    controller: z.string(),
    ecnViewer: z.string().optional(),
  }),
});
export type ControllerStatus = z.infer<typeof statusSchema>;

/** `POST /user/signup`. */
export const signUpSchema = z.object({ userId: z.number(), email: z.string(), emailActivated: z.boolean() });
export type SignedUp = z.infer<typeof signUpSchema>;

/** `POST /user/login`. */
export const loginSchema = z.object({ accessToken: z.string().min(1) });

/** `GET /user/profile`. */
export const profileSchema = z.object({ firstName: z.string(), lastName: z.string(), email: z.string() });
export type Profile = z.infer<typeof profileSchema>;

/** `GET /router`. Null only where something else than `PUT /router` wrote the row. */
export const routerSchema = z.object({
  host: z.string().nullable(),
  messagingPort: z.number().nullable(),
  edgeRouterPort: z.number().nullable(),
  interRouterPort: z.number().nullable(),
});
export type DefaultRouter = z.infer<typeof routerSchema>;

/** `GET /config/:key`. */
export const configSchema = z.object({ key: z.string(), value: z.string() });

const port = z.number();

/** `GET /nats/hub`; 3.7. */
export const natsHubSchema = z.object({
  host: z.string(),
  serverPort: port,
  clusterPort: port,
  leafPort: port,
  mqttPort: port,
  httpPort: port,
});
export type NatsHub = z.infer<typeof natsHubSchema>;

const text = z.string().min(1);

/** `GET /nats/bootstrap`; 3.7. Holds secrets. */
export const natsBootstrapSchema = z.object({
  operatorJwt: text,
  operatorPublicKey: text,
  /** Secret. */
  operatorSeed: text,
  systemAccountJwt: text,
  systemAccountPublicKey: text,
  /** Secret: a creds file of the system account's user `admin-hub`. */
  sysUserCredsBase64: text,
});
export type NatsBootstrap = z.infer<typeof natsBootstrapSchema>;

const natsAccountSchema = z.object({
  name: z.string(),
  /** Also its name in the bundle, before `.jwt`. */
  publicKey: text,
  jwt: text,
  isSystem: z.boolean().optional(),
  /** An edge node's own system account, which the hub does not serve. */
  isLeafSystem: z.boolean().optional(),
});
export type NatsAccount = z.infer<typeof natsAccountSchema>;

/** `GET /nats/accounts`; 3.7. */
export const natsAccountsSchema = z.object({ accounts: z.array(natsAccountSchema) });

const listedAuthoritySchema = z.object({ name: z.string(), subject: z.string(), valid_to: z.string() });
export type ListedAuthority = z.infer<typeof listedAuthoritySchema>;

/** `GET /certificates/ca`; 3.7. */
export const certificateAuthoritiesSchema = z.object({ cas: z.array(listedAuthoritySchema) });

/** `GET /certificates/ca/:name`; 3.7. The private key that it also has is dropped. */
export const certificateAuthoritySchema = z.object({
  name: z.string(),
  data: z.object({ certificate: z.string() }),
});

/** An authority as the Controller has it. */
export interface ImportedAuthority {
  readonly name: string;
  readonly certificatePem: string;
}

/** Keycloak's token endpoint. */
export const tokenSchema = z.object({
  access_token: text,
  /** Seconds. */
  expires_in: z.number().positive(),
});

/** What is in Keycloak's tokens, as far as it may explain why one is refused. */
export const tokenClaimsSchema = z.object({
  iss: z.string().optional(),
  aud: z.union([z.string(), z.array(z.string())]).optional(),
});

/** Keycloak's `GET /admin/realms/:realm/clients`. */
export const keycloakClientsSchema = z.array(
  z.object({ id: text, clientId: z.string(), rootUrl: z.string().nullish() }),
);
