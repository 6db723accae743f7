/**
 * Who a token of Keycloak's stands for, as Controller 3.7.3 sees it: it checks signature, issuer, audience and time
 * itself, without asking Keycloak, and lets the client's roles decide (seen on Controller 3.7.3).
 */

import { Buffer } from "node:buffer";
import { createPublicKey, verify } from "node:crypto";
import type { Call, World } from "./route.ts";

/** What the Controller is told of Keycloak through its environment. */
export interface Realm {
  /** `KC_URL` with its slash, `realms/` and `KC_REALM`, e.g. `https://127.0.0.1:40123/realms/pot`. */
  readonly issuer: string;
  /** `KC_REALM_KEY`: the base64 of the SPKI, without the lines of PEM around it. */
  readonly publicKey: string;
  /** `KC_CLIENT`. */
  readonly clientId: string;
}

/** An answer of the access control, which has no `name`. */
export class Refusal extends Error {
  constructor(readonly status: number, readonly body: Readonly<Record<string, string>>) {
    super(body.error);
  }
}

/** The subject of a token. */
export interface Subject {
  readonly name: string;
  /** Of the Controller's client, in lower case. */
  readonly roles: readonly string[];
  /** Of Keycloak's own client `realm-management`. */
  readonly realmManagement: readonly string[];
}

interface Claims {
  readonly iss?: string;
  readonly aud?: string | readonly string[];
  readonly exp?: number;
  readonly typ?: string;
  readonly preferred_username?: string;
  readonly resource_access?: Readonly<Record<string, { readonly roles?: readonly string[] }>>;
}

/** @throws Refusal 401 for what is no valid token, 403 for one without a role that allows it. */
export function authorized({ realm, clock, state }: World, call: Call): Subject {
  const { authorization } = call;
  const subject = realm === undefined || state.expiredTokens.includes(authorization ?? "")
    ? undefined
    : subjectOf(realm, clock.now(), authorization);
  if (subject === undefined) {
    throw new Refusal(401, { error: "Unauthorized: No authentication information found" });
  }
  if (authorization !== undefined && !state.takenTokens.includes(authorization)) {
    state.takenTokens.push(authorization);
  }
  if (subject.roles.some((role) => isAllowed(role, call))) return subject;
  throw new Refusal(403, {
    error: "Forbidden",
    message: "Authorization denied: You do not have permission to perform this action. " +
      "Please contact your administrator.",
  });
}

/** The built-in roles, as far as they differ in what a control plane and the objects of the edge need. */
function isAllowed(role: string, { method, path }: Call): boolean {
  const isRead = method === "GET" || method === "HEAD";
  const isOf = (...groups: readonly string[]) =>
    groups.some((group) => path === group || path.startsWith(`${group}/`));
  switch (role) {
    case "admin":
      return true;
    case "sre":
      return !isOf("/nats/bootstrap") &&
        (isRead || !isOf("/nats/hub", "/nats/operator", "/roles", "/rolebindings"));
    case "developer":
      return !isOf("/nats/bootstrap") &&
        (isRead ||
          !isOf("/nats/hub", "/nats/operator", "/roles", "/rolebindings", "/iofog", "/router", "/config"));
    case "viewer":
      return isRead && !isOf("/nats/bootstrap");
    default:
      return false;
  }
}

/** Undefined for every token that cannot be taken: the Controller does not say why. */
export function subjectOf(realm: Realm, now: number, authorization: string | undefined): Subject | undefined {
  const [header, payload, signature] = /^Bearer (\S+)$/.exec(authorization ?? "")?.[1]?.split(".") ?? [];
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  if (parsed<{ alg?: string }>(header)?.alg !== "RS256") return undefined;
  const key = createPublicKey({ key: Buffer.from(realm.publicKey, "base64"), format: "der", type: "spki" });
  const signed = Buffer.from(`${header}.${payload}`);
  if (!verify("sha256", signed, key, Buffer.from(signature, "base64url"))) return undefined;
  const claims = parsed<Claims>(payload);
  const audience = [claims?.aud ?? []].flat();
  if (
    claims === undefined || claims.iss !== realm.issuer || !audience.includes(realm.clientId) ||
    claims.typ !== "Bearer" || (claims.exp ?? 0) * 1000 <= now
  ) return undefined;
  const rolesOf = (client: string) => claims.resource_access?.[client]?.roles ?? [];
  return {
    name: claims.preferred_username ?? "",
    roles: rolesOf(realm.clientId).map((role) => role.toLowerCase()),
    realmManagement: rolesOf("realm-management"),
  };
}

function parsed<T>(part: string): T | undefined {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    return undefined;
  }
}
