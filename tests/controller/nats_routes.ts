/**
 * NATS as a control plane meets it: the hub's row, and an operator with accounts and users whose keys and JWTs are real
 * ones, made with the library that the Controller itself uses; 3.7.3 (from its sources, and recorded answers).
 */

import {
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
  fromSeed,
} from "@nats-io/jwt";
import { registerSecret } from "../secrets.ts";
import { authenticated, type Call, rejected, rejectedOrInvalid, type Route, type World } from "./route.ts";
import type { ControllerState, NatsHubRow } from "./state.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";

/** Keys and JWTs. */
export interface NatsKeys {
  operator: {
    readonly name: string;
    readonly publicKey: string;
    readonly jwt: string;
    readonly seed: string;
  };
  readonly accounts: NatsAccountRow[];
  readonly users: NatsUserRow[];
}

interface NatsAccountRow {
  readonly id: number;
  readonly name: string;
  readonly publicKey: string;
  jwt: string;
  readonly seed: string;
  readonly isSystem: boolean;
  readonly isLeafSystem: boolean;
  readonly applicationId: number | null;
}

interface NatsUserRow {
  readonly id: number;
  readonly name: string;
  readonly publicKey: string;
  readonly jwt: string;
  readonly creds: string;
  readonly accountId: number;
}

const natsRoutesOf373: readonly Omit<Route, "only">[] = [
  { method: "GET", path: "/nats/operator", success: 200, failures: rejected, handle: readOperator },
  { method: "POST", path: "/nats/operator/rotate", success: 200, failures: rejected, handle: rotateOperator },
  {
    method: "GET",
    path: "/nats/bootstrap",
    success: 200,
    failures: { ...rejected, ForbiddenError: 403, NotFoundError: 404 },
    handle: readBootstrap,
  },
  {
    method: "GET",
    path: "/nats/hub",
    success: 200,
    failures: { ...rejected, NotFoundError: 404 },
    handle: readHub,
  },
  {
    method: "PUT",
    path: "/nats/hub",
    success: 200,
    failures: rejectedOrInvalid,
    templated: true,
    handle: writeHub,
  },
  { method: "GET", path: "/nats/accounts", success: 200, failures: rejected, handle: listAccounts },
  { method: "GET", path: "/nats/users", success: 200, failures: rejected, handle: listUsers },
];

export const natsRoutes: readonly Route[] = natsRoutesOf373.map((route) => ({ ...route, only: "3.7.3" }));

const port: PropertySchema = { type: "integer", minimum: 1, maximum: 65535 };
const size: PropertySchema = {
  type: "string",
  pattern: "^[0-9]+\\s*([mM][bB]?|[gG][bB]?|[tT][bB]?)?$",
  maxLength: 32,
};
const hub: BodySchema = {
  properties: {
    host: { type: "string" },
    serverPort: port,
    clusterPort: port,
    leafPort: port,
    mqttPort: port,
    httpPort: port,
    jsStorageSize: size,
    jsMemoryStoreSize: size,
  },
  required: ["host"],
};

/** The operator and its system account with the hub's user, made at the first call. */
export function natsOf(state: ControllerState): Promise<NatsKeys> {
  return state.nats ??= createNats();
}

/** An account as for an application. */
export async function addAccount(nats: NatsKeys, name: string): Promise<NatsAccountRow> {
  const account = await makeAccount(nats, name, false);
  await addUser(nats, account, `${name}-user`);
  return account;
}

async function createNats(): Promise<NatsKeys> {
  const nats: NatsKeys = { operator: await makeOperator(), accounts: [], users: [] };
  await addUser(nats, await makeAccount(nats, "SYS", true), "admin-hub");
  return nats;
}

async function makeOperator(): Promise<NatsKeys["operator"]> {
  const keys = createOperator();
  const name = "pot-operator";
  const jwt = await encodeOperator(name, keys);
  return { name, publicKey: keys.getPublicKey(), jwt, seed: seedOf(keys) };
}

async function makeAccount(nats: NatsKeys, name: string, isSystem: boolean): Promise<NatsAccountRow> {
  const keys = createAccount();
  const seed = seedOf(keys);
  const jwt = await signAccount(nats, { name, seed, isSystem });
  const account = {
    id: nats.accounts.length + 1,
    name,
    publicKey: keys.getPublicKey(),
    jwt,
    seed,
    isSystem,
    isLeafSystem: false,
    applicationId: isSystem ? null : nats.accounts.length,
  };
  nats.accounts.push(account);
  return account;
}

/** Without limits, but that the system account has no JetStream. */
async function signAccount(
  { operator }: Pick<NatsKeys, "operator">,
  { name, seed, isSystem }: Pick<NatsAccountRow, "name" | "seed" | "isSystem">,
): Promise<string> {
  const limits = {
    conn: -1,
    leaf: -1,
    data: -1,
    exports: -1,
    imports: -1,
    payload: -1,
    subs: -1,
    wildcards: true,
    ...(isSystem ? {} : { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }),
  };
  const signer = fromSeed(new TextEncoder().encode(operator.seed));
  return await encodeAccount(name, fromSeed(new TextEncoder().encode(seed)), { limits }, { signer });
}

async function addUser(nats: NatsKeys, account: NatsAccountRow, name: string): Promise<void> {
  const keys = createUser();
  seedOf(keys);
  const jwt = await encodeUser(name, keys, fromSeed(new TextEncoder().encode(account.seed)), {});
  const creds = new TextDecoder().decode(fmtCreds(jwt, keys));
  registerSecret(btoa(creds));
  const id = nats.users.length + 1;
  nats.users.push({ id, name, publicKey: keys.getPublicKey(), jwt, creds, accountId: account.id });
}

function seedOf(keys: { getSeed(): Uint8Array }): string {
  return registerSecret(new TextDecoder().decode(keys.getSeed()));
}

async function readOperator(world: World, call: Call) {
  authenticated(world, call);
  const { name, publicKey, jwt } = (await natsOf(world.state)).operator;
  return { name, publicKey, jwt };
}

/** Answers the operator as it was; the accounts are signed anew by another one, under their old keys. */
async function rotateOperator(world: World, call: Call) {
  const before = await readOperator(world, call);
  const nats = await natsOf(world.state);
  nats.operator = await makeOperator();
  for (const account of nats.accounts) account.jwt = await signAccount(nats, account);
  return before;
}

async function readBootstrap(world: World, call: Call) {
  authenticated(world, call);
  if (world.readSecret === undefined) {
    throw new Failure(
      "ForbiddenError",
      "NATS bootstrap is only available when the Controller runs on the Kubernetes control plane",
    );
  }
  const { operator, accounts, users } = await natsOf(world.state);
  const system = accounts.find((account) => account.isSystem)!;
  const user = users.find((user) => user.name === "admin-hub")!;
  return {
    operatorJwt: operator.jwt,
    operatorPublicKey: operator.publicKey,
    operatorSeed: operator.seed,
    systemAccountJwt: system.jwt,
    systemAccountPublicKey: system.publicKey,
    sysUserCredsBase64: btoa(user.creds),
  };
}

function readHub(world: World, call: Call) {
  authenticated(world, call);
  if (world.state.natsHub === undefined) throw new Failure("NotFoundError", "NATS hub not found");
  return world.state.natsHub;
}

/** Ports that are left out go back to their defaults. */
function writeHub(world: World, call: Call) {
  authenticated(world, call);
  const given = validate(call.body, hub) as Partial<NatsHubRow>;
  world.state.natsHub = {
    host: `${given.host}`,
    serverPort: given.serverPort ?? 4222,
    clusterPort: given.clusterPort ?? 6222,
    leafPort: given.leafPort ?? 7422,
    mqttPort: given.mqttPort ?? 8883,
    httpPort: given.httpPort ?? 8222,
  };
  return world.state.natsHub;
}

async function listAccounts(world: World, call: Call) {
  authenticated(world, call);
  const { accounts } = await currentNats(world.state);
  return { accounts: accounts.map(({ seed: _, ...account }) => account) };
}

async function listUsers(world: World, call: Call) {
  authenticated(world, call);
  const { accounts, users } = await currentNats(world.state);
  return {
    users: users.map(({ creds: _, ...user }) => ({
      ...user,
      isBearer: false,
      accountName: accounts.find(({ id }) => id === user.accountId)?.name ?? null,
      microserviceUuid: null,
    })),
  };
}

/** Lists make nothing. */
async function currentNats(state: ControllerState): Promise<Pick<NatsKeys, "accounts" | "users">> {
  return await state.nats ?? { accounts: [], users: [] };
}
