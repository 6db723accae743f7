/**
 * Secrets, config maps, authorities and certificates of 3.7.3 (from its sources, and recorded answers).
 *
 * An authority is a row beside a Secret of the same name. It is imported from a Secret of Kubernetes, or made by the
 * Controller itself; whichever was there first stays.
 */

import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { makeCa, makeLeaf } from "../../src/resources/pki.ts";
import { registerSecret } from "../secrets.ts";
import { authenticated, type Call, rejected, rejectedOrInvalid, type Route, type World } from "./route.ts";
import { type ConfigMapRow, nextId, type SecretRow } from "./edge_state.ts";
import type { CertificateRow } from "./state.ts";
import { type BodySchema, Failure, type PropertySchema, validate } from "./validation.ts";
import { dropMountsOf, followData } from "./volume_mount_routes.ts";

const missing = { ...rejected, NotFoundError: 404 };

const certificateRoutesOf373: readonly Omit<Route, "only">[] = [
  { method: "POST", path: "/secrets", success: 201, failures: rejectedOrInvalid, handle: createSecret },
  { method: "GET", path: "/secrets", success: 200, failures: rejected, handle: listSecrets },
  { method: "GET", path: "/secrets/:name", success: 200, failures: missing, handle: readSecret },
  {
    method: "PATCH",
    path: "/secrets/:name",
    success: 200,
    failures: { ...missing, ValidationError: 400 },
    handle: updateSecret,
  },
  { method: "DELETE", path: "/secrets/:name", success: 200, failures: missing, handle: deleteSecret },
  { method: "POST", path: "/configmaps", success: 201, failures: rejectedOrInvalid, handle: createConfigMap },
  { method: "GET", path: "/configmaps", success: 200, failures: rejected, handle: listConfigMaps },
  { method: "GET", path: "/configmaps/:name", success: 200, failures: missing, handle: readConfigMap },
  {
    method: "PATCH",
    path: "/configmaps/:name",
    success: 200,
    failures: { ...missing, ValidationError: 400 },
    handle: updateConfigMap,
  },
  { method: "DELETE", path: "/configmaps/:name", success: 200, failures: missing, handle: deleteConfigMap },
  {
    method: "POST",
    path: "/certificates/ca",
    success: 201,
    failures: rejectedOrInvalid,
    handle: createAuthority,
  },
  { method: "GET", path: "/certificates/ca", success: 200, failures: rejected, handle: listAuthorities },
  { method: "GET", path: "/certificates/ca/:name", success: 200, failures: missing, handle: readAuthority },
  {
    method: "DELETE",
    path: "/certificates/ca/:name",
    success: 200,
    failures: missing,
    handle: deleteAuthority,
  },
  {
    method: "POST",
    path: "/certificates",
    success: 201,
    failures: rejectedOrInvalid,
    handle: createCertificate,
  },
  { method: "GET", path: "/certificates", success: 200, failures: rejected, handle: listCertificates },
];

export const certificateRoutes: readonly Route[] = certificateRoutesOf373
  .map((route) => ({ ...route, only: "3.7.3" }));

const name: PropertySchema = { type: "string", minLength: 1, maxLength: 255 };
const text: PropertySchema = { type: "string", minLength: 1 };
const months: PropertySchema = { type: "integer", minimum: 0 };
const secretType: PropertySchema = { type: "string", enum: ["Opaque", "tls"] };
const data: PropertySchema = { type: "object" };

const schemas = {
  secretCreate: {
    properties: { name, type: secretType, data },
    required: ["name", "type", "data"],
    additionalProperties: false,
  },
  secretUpdate: {
    properties: { name, type: secretType, data },
    required: ["data"],
    additionalProperties: false,
  },
  configMapCreate: {
    properties: { name, immutable: { type: "boolean" }, useVault: { type: "boolean" }, data },
    required: ["name", "data"],
    additionalProperties: false,
  },
  configMapUpdate: {
    properties: { name, immutable: { type: "boolean" }, useVault: { type: "boolean" }, data },
    required: ["data"],
    additionalProperties: false,
  },
  authorityCreate: {
    properties: {
      name,
      subject: text,
      expiration: months,
      type: { type: "string", enum: ["k8s-secret", "direct", "self-signed"] },
      secretName: { type: "string" },
    },
    required: ["type", "name"],
    additionalProperties: false,
  },
  certificateCreate: {
    properties: { name, subject: text, hosts: text, expiration: months, ca: { type: "object" } },
    required: ["name", "subject", "hosts"],
    additionalProperties: false,
  },
} satisfies Record<string, BodySchema>;

/** Makes an authority, as the Controller does for itself where it finds none. */
export async function makeOwnAuthority(world: World, name: string): Promise<void> {
  if (world.state.certificates.some((row) => row.name === name)) return;
  const made = await makeCa(name, world.clock.now());
  storeAuthority(world, name, `${made["tls.crt"]}`, `${made["tls.key"]}`);
}

function storeAuthority(world: World, name: string, certificate: string, key: string): void {
  storePair(world, name, certificate, key);
  world.state.certificates.push({ ...factsOf(certificate), name, isCA: true });
}

function storePair({ state }: World, name: string, certificate: string, key: string): void {
  registerSecret(key);
  const encoded = Buffer.from(certificate).toString("base64");
  const data = { "tls.crt": encoded, "tls.key": Buffer.from(key).toString("base64"), "ca.crt": encoded };
  state.secrets.push({ id: nextId(state, "secrets"), name, type: "tls", data });
}

/** What the Controller reads from a certificate; its library knows RSA only. */
function factsOf(pem: string): Pick<CertificateRow, "subject" | "validFrom" | "validTo" | "serialNumber"> {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    throw new Failure("ValidationError", "Invalid certificate: Invalid PEM formatted message.");
  }
  if (certificate.publicKey.asymmetricKeyType !== "rsa") {
    throw new Failure(
      "ValidationError",
      "Invalid certificate: Cannot read public key. OID is not RSA.",
    );
  }
  return {
    subject: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "",
    validFrom: new Date(certificate.validFrom).toISOString(),
    validTo: new Date(certificate.validTo).toISOString(),
    serialNumber: certificate.serialNumber.toLowerCase(),
  };
}

function secretMissing(name: unknown): Failure {
  return new Failure("NotFoundError", `Secret with name "${name}" not found`);
}

function secretNamed({ state }: World, name: unknown): SecretRow {
  const row = state.secrets.find((secret) => secret.name === name);
  if (row === undefined) throw secretMissing(name);
  return row;
}

function createSecret(world: World, call: Call) {
  authenticated(world, call);
  const { state } = world;
  const given = validate(call.body, schemas.secretCreate) as Omit<SecretRow, "id">;
  requireEncoded(given.type, given.data);
  if (state.secrets.some((secret) => secret.name === given.name)) {
    throw new Failure("ConflictError", `Secret with name "${given.name}" already exists`);
  }
  const row = { id: nextId(state, "secrets"), name: given.name, type: given.type, data: given.data };
  state.secrets.push(row);
  return { id: row.id, name: row.name, type: row.type };
}

function requireEncoded(type: string, data: Readonly<Record<string, string>>): void {
  const wrong = Object.entries(data)
    .filter(([, value]) =>
      Buffer.from(Buffer.from(`${value}`, "base64").toString()).toString("base64") !== value
    )
    .map(([key]) => key);
  if (type === "tls" && wrong.length > 0) {
    throw new Failure("ValidationError", `Invalid base64 encoding for keys: ${wrong.join(", ")}`);
  }
}

function listSecrets(world: World, call: Call) {
  authenticated(world, call);
  return { secrets: world.state.secrets.map(({ id, name, type }) => ({ id, name, type })) };
}

function readSecret(world: World, call: Call) {
  authenticated(world, call);
  return secretNamed(world, call.parameters.name);
}

function updateSecret(world: World, call: Call) {
  authenticated(world, call);
  const given = validate(call.body, schemas.secretUpdate) as Partial<SecretRow>;
  const row = secretNamed(world, call.parameters.name);
  if (row.type !== given.type) {
    throw new Failure(
      "ValidationError",
      `Secret type mismatch. Secret ${row.name} is of type ${row.type} but trying to update with type ${given.type}`,
    );
  }
  row.data = given.data ?? {};
  followData(world, "secret", row);
  return {};
}

function deleteSecret(world: World, call: Call) {
  authenticated(world, call);
  const { state } = world;
  const { name } = secretNamed(world, call.parameters.name);
  requireUnused(world, name);
  state.secrets = state.secrets.filter((secret) => secret.name !== name);
  state.certificates = state.certificates.filter((certificate) => certificate.name !== name);
  dropMountsOf(world, "secret", name);
  return {};
}

/** An authority that has signed something stays. */
function requireUnused({ state }: World, name: string): void {
  const signed = state.certificates.filter((certificate) => certificate.signedBy === name);
  if (signed.length === 0) return;
  throw new Failure(
    "ValidationError",
    "Cannot delete CA that has signed certificates. Please delete the following certificates first: " +
      signed.map((certificate) => certificate.name).join(", "),
  );
}

function configMapNamed({ state }: World, name: unknown) {
  const row = state.configMaps.find((configMap) => configMap.name === name);
  if (row === undefined) throw new Failure("NotFoundError", `ConfigMap with name ${name} not found`);
  return row;
}

interface ConfigMapBody {
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
  readonly useVault?: boolean;
}

function createConfigMap(world: World, call: Call) {
  authenticated(world, call);
  const { state } = world;
  const given = validate(call.body, schemas.configMapCreate) as unknown as ConfigMapBody;
  if (state.configMaps.some((configMap) => configMap.name === given.name)) {
    throw new Failure("ConflictError", `ConfigMap with name ${given.name} already exists`);
  }
  const row = {
    id: nextId(state, "configMaps"),
    name: given.name,
    data: given.data,
    immutable: given.immutable ?? false,
    useVault: given.useVault ?? true,
  };
  state.configMaps.push(row);
  return withoutData(row);
}

function listConfigMaps(world: World, call: Call) {
  authenticated(world, call);
  return { configMaps: world.state.configMaps.map(withoutData) };
}

function readConfigMap(world: World, call: Call) {
  authenticated(world, call);
  return configMapNamed(world, call.parameters.name);
}

function updateConfigMap(world: World, call: Call) {
  authenticated(world, call);
  const given = validate(call.body, schemas.configMapUpdate) as unknown as ConfigMapBody;
  const row = configMapNamed(world, call.parameters.name);
  if (row.immutable) {
    throw new Failure(
      "ValidationError",
      `Configmap ${row.name} is immutable and cannot be updated. ` +
        "If you want to update it, please delete it and create a new configmap.",
    );
  }
  if (given.immutable === undefined) {
    throw new Failure("SequelizeValidationError", "notNull Violation: ConfigMap.immutable cannot be null");
  }
  Object.assign(row, {
    data: given.data,
    immutable: given.immutable,
    useVault: given.useVault ?? row.useVault,
  });
  followData(world, "configMap", row);
  return withoutData(row);
}

function deleteConfigMap(world: World, call: Call) {
  authenticated(world, call);
  const { name } = configMapNamed(world, call.parameters.name);
  world.state.configMaps = world.state.configMaps.filter((configMap) => configMap.name !== name);
  dropMountsOf(world, "configMap", name);
  return {};
}

function withoutData({ data: _, ...row }: ConfigMapRow): Omit<ConfigMapRow, "data"> {
  return row;
}

interface AuthorityBody {
  readonly name: string;
  readonly type: "k8s-secret" | "direct" | "self-signed";
  readonly subject?: string;
  readonly secretName?: string;
}

async function createAuthority(world: World, call: Call) {
  authenticated(world, call);
  const given = validate(call.body, schemas.authorityCreate) as unknown as AuthorityBody;
  const { state } = world;
  if (given.type === "k8s-secret" && world.readSecret === undefined) {
    throw new Failure("ValidationError", "Controller is not running in Kubernetes environment");
  }
  const name = given.type === "self-signed" ? given.name : `${given.secretName}`;
  const secret = state.secrets.find((secret) => secret.name === name);
  const known = state.certificates.find((certificate) => certificate.name === name && certificate.isCA);
  // Of a Secret without a row the Controller only refuses to make an authority, and copies nothing over it.
  if (secret !== undefined && (given.type === "self-signed" || known !== undefined)) {
    throw new Failure("ConflictError", `CA with name ${name} already exists`);
  }
  switch (given.type) {
    case "self-signed":
      await makeOwnAuthority(world, name);
      break;
    case "k8s-secret": {
      const found = await world.readSecret?.(name);
      if (found?.["tls.crt"] === undefined || found["tls.key"] === undefined) {
        throw new Failure("TypeError", "Cannot read properties of null (reading 'certificate')");
      }
      const pem = decoded(found["tls.crt"]);
      const facts = factsOf(pem);
      if (secret === undefined) storeAuthority(world, name, pem, decoded(found["tls.key"]));
      return described({ ...facts, name }, given.type);
    }
    case "direct": {
      const row = secretNamed(world, name);
      state.certificates.push({ ...factsOf(decoded(row.data["tls.crt"])), name, isCA: true });
    }
  }
  const row = state.certificates.find((certificate) => certificate.name === name)!;
  return described(given.subject === undefined ? row : { ...row, subject: given.subject }, given.type);
}

function described(row: Pick<CertificateRow, "name" | "subject" | "validFrom" | "validTo">, type: string) {
  return { name: row.name, subject: row.subject, type, valid_from: row.validFrom, valid_to: row.validTo };
}

function listAuthorities(world: World, call: Call) {
  authenticated(world, call);
  const now = world.clock.now();
  const cas = world.state.certificates.filter((certificate) => certificate.isCA).map((row) => {
    const leftMs = Date.parse(row.validTo) - now;
    return {
      name: row.name,
      subject: row.subject,
      valid_from: row.validFrom,
      valid_to: row.validTo,
      days_remaining: Math.ceil(leftMs / 86_400_000),
      is_expired: leftMs < 0,
    };
  });
  return { cas };
}

function authorityNamed({ state }: World, name: unknown): CertificateRow {
  const row = state.certificates.find((certificate) => certificate.name === name && certificate.isCA);
  if (row === undefined) throw new Failure("NotFoundError", `CA with name ${name} not found`);
  return row;
}

function readAuthority(world: World, call: Call) {
  authenticated(world, call);
  const row = authorityNamed(world, call.parameters.name);
  const { data } = secretNamed(world, row.name);
  return {
    ...row,
    data: { certificate: decoded(data["tls.crt"]), privateKey: decoded(data["tls.key"]) },
  };
}

function deleteAuthority(world: World, call: Call) {
  authenticated(world, call);
  const { name } = authorityNamed(world, call.parameters.name);
  return deleteSecret(world, { ...call, parameters: { name } });
}

interface CertificateBody {
  readonly name: string;
  readonly subject: string;
  readonly hosts: string;
  readonly ca?: { readonly type: string; readonly secretName?: string };
}

async function createCertificate(world: World, call: Call) {
  authenticated(world, call);
  const { state } = world;
  const given = validate(call.body, schemas.certificateCreate) as unknown as CertificateBody;
  if (state.secrets.some((secret) => secret.name === given.name)) {
    throw new Failure("ConflictError", `Certificate with name ${given.name} already exists`);
  }
  const authority = authorityNamed(world, given.ca?.secretName);
  const stored = secretNamed(world, authority.name).data;
  const ca = { "tls.crt": decoded(stored["tls.crt"]), "tls.key": decoded(stored["tls.key"]) };
  const leaf = await makeLeaf(ca, [given.subject, ...given.hosts.split(",")], world.clock.now());
  storePair(world, given.name, `${leaf["tls.crt"]}`, `${leaf["tls.key"]}`);
  const row = {
    ...factsOf(`${leaf["tls.crt"]}`),
    name: given.name,
    isCA: false,
    hosts: given.hosts,
    signedBy: authority.name,
  };
  state.certificates.push(row);
  return {
    name: row.name,
    subject: given.subject,
    hosts: row.hosts,
    valid_from: row.validFrom,
    valid_to: row.validTo,
    ca_name: authority.name,
  };
}

function listCertificates(world: World, call: Call) {
  authenticated(world, call);
  const certificates = world.state.certificates.filter((certificate) => !certificate.isCA)
    .map(({ signedBy, serialNumber: _, ...row }) => ({ ...row, caName: signedBy ?? null }));
  return { certificates };
}

function decoded(base64: string | undefined): string {
  return Buffer.from(base64 ?? "", "base64").toString();
}
