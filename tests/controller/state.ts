/**
 * What the stand-in remembers, and nothing else: a test may look at it, change it, or hand it to the next stand-in.
 *
 * Passwords and tokens stand here in the clear: it is a stand-in for tests.
 */

import { createEdgeState, type EdgeState } from "./edge_state.ts";
import type { NatsKeys } from "./nats_routes.ts";

/** A row of the Users table. */
export interface User {
  readonly id: number;
  firstName: string;
  lastName: string;
  readonly email: string;
  password: string;
}

/** A row of the AccessTokens table. */
export interface Token {
  readonly token: string;
  readonly userId: number;
  /** Milliseconds since the epoch; later by the time-to-live with each use, however early it is used. */
  expiresAt: number;
}

/** The default router's row, in the order in which the Controller answers it. */
export interface RouterRow {
  readonly id: number;
  readonly isEdge: boolean;
  readonly messagingPort: number;
  readonly edgeRouterPort: number;
  readonly interRouterPort: number;
  readonly host: string;
  readonly isDefault: boolean;
  /** RFC 3339 with milliseconds. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A row of the Config table. */
export interface ConfigRow {
  readonly id: number;
  readonly key: string;
  readonly value: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** The NATS hub's row; 3.7.3. */
export interface NatsHubRow {
  readonly host: string;
  readonly serverPort: number;
  readonly clusterPort: number;
  readonly leafPort: number;
  readonly mqttPort: number;
  readonly httpPort: number;
}

/** A row of the Certificates table, whose PEM is in the Secret of its name; 3.7.3. */
export interface CertificateRow {
  readonly name: string;
  readonly subject: string;
  readonly isCA: boolean;
  /** RFC 3339. */
  readonly validFrom: string;
  readonly validTo: string;
  readonly serialNumber: string;
  /** Of a leaf: its names, joined by commas, and the authority that signed it. */
  readonly hosts?: string;
  readonly signedBy?: string;
}

/** The Controller's database. */
export interface ControllerState extends EdgeState {
  users: User[];
  tokens: Token[];
  router: RouterRow | undefined;
  config: ConfigRow[];
  /** The last id given in each table; SQLite's AUTOINCREMENT gives none twice. */
  lastIds: { users: number; config: number };
  natsHub: NatsHubRow | undefined;
  /** Operator, accounts and users; made when they are first asked for. */
  nats: Promise<NatsKeys> | undefined;
  certificates: CertificateRow[];
  /** Whole `Authorization` headers that 3.7.3 has accepted, and those that it no longer does. */
  takenTokens: string[];
  expiredTokens: string[];
}

/** An empty database. */
export function createState(): ControllerState {
  return {
    users: [],
    tokens: [],
    router: undefined,
    config: [],
    ...createEdgeState(),
    lastIds: { users: 0, config: 0 },
    natsHub: undefined,
    nats: undefined,
    certificates: [],
    takenTokens: [],
    expiredTokens: [],
  };
}
