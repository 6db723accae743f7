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
  /** In lower case. */
  readonly roles: readonly string[];
}

interface Claims {
  readonly iss?: string;
  readonly aud?: string | readonly string[];
  readonly exp?: number;
  readonly typ?: string;
  readonly preferred_username?: string;
  readonly resource_access?: Readonly<Record<string, { readonly roles?: readonly string[] }>>;
}

/** Built-in roles that may do everything that a control plane asks for. */
const writers = ["admin", "sre", "developer"];

/** @throws Refusal 401 for what is no valid token, 403 for one without a role that allows it. */
export function authorized(world: World, { method, authorization }: Call): Subject {
  const subject = subjectOf(world, authorization);
  if (subject === undefined) {
    throw new Refusal(401, { error: "Unauthorized: No authentication information found" });
  }
  const isRead = method === "GET" || method === "HEAD";
  const needed = isRead ? [...writers, "viewer"] : writers;
  if (!subject.roles.some((role) => needed.includes(role))) {
    throw new Refusal(403, {
      error: "Forbidden",
      message: "Authorization denied: You do not have permission to perform this action. " +
        "Please contact your administrator.",
    });
  }
  return subject;
}

/** Undefined for every token that cannot be taken: the Controller does not say why. */
function subjectOf({ realm, clock }: World, authorization: string | undefined): Subject | undefined {
  const [header, payload, signature] = /^Bearer (\S+)$/.exec(authorization ?? "")?.[1]?.split(".") ?? [];
  if (realm === undefined || header === undefined || payload === undefined || signature === undefined) {
    return undefined;
  }
  if (parsed<{ alg?: string }>(header)?.alg !== "RS256") return undefined;
  const key = createPublicKey({ key: Buffer.from(realm.publicKey, "base64"), format: "der", type: "spki" });
  const signed = Buffer.from(`${header}.${payload}`);
  if (!verify("sha256", signed, key, Buffer.from(signature, "base64url"))) return undefined;
  const claims = parsed<Claims>(payload);
  const audience = [claims?.aud ?? []].flat();
  if (
    claims === undefined || claims.iss !== realm.issuer || !audience.includes(realm.clientId) ||
    claims.typ !== "Bearer" || (claims.exp ?? 0) * 1000 <= clock.now()
  ) return undefined;
  const roles = claims.resource_access?.[realm.clientId]?.roles ?? [];
  return { name: claims.preferred_username ?? "", roles: roles.map((role) => role.toLowerCase()) };
}

function parsed<T>(part: string): T | undefined {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    return undefined;
  }
}
