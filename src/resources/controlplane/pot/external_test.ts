/** Authorities that the Controller has otherwise than our Secrets. */

import { assertEquals, assertMatch } from "@std/assert";
import { registerSecret } from "../../../../tests/secrets.ts";
import type { ExternalChild, ExternalState } from "../../../operator/definition.ts";
import { issueCa } from "../../certificate_issuing.ts";
import { type CertificateData, makeCa, RENEWAL_MS } from "../../pki.ts";
import { generateKeys } from "../../rsa_keys.ts";
import { NOW, secretOf, snapshotOf } from "../iofog/fixtures.ts";
import { desired } from "./desired.ts";
import { AUTHORITY, authorityFields } from "./external.ts";
import { auth, contextOf } from "./fixtures.ts";

const name = "router-site-ca";
const DAY_MS = 24 * 3600_000;

/** What should be done about the authority, where the Controller has the certificate `imported`. */
function authority(ours: CertificateData, imported: string | undefined, now = NOW) {
  const fields = { ...authorityFields(imported) };
  const state: ExternalState = {
    phase: "observed",
    objects: imported === undefined ? [] : [{ kind: AUTHORITY, name, fields }],
    facts: {},
  };
  const snapshot = { ...snapshotOf([secretOf(name, { ...ours })]), external: () => state };
  const found = desired(contextOf({ auth }, snapshot, now)).children.find((child) =>
    child.type === "external" && child.kind === AUTHORITY
  ) as ExternalChild;
  const { fingerprint } = authorityFields(ours["tls.crt"]);
  const written = found.fields["fingerprint"] === fingerprint ? "ours" : "as it is";
  return found.blocked === undefined ? written : found.blocked.message;
}

Deno.test("an authority that was renewed with its key is no other one, until the Controller's certificate of it ends", async () => {
  const keys = await generateKeys();
  const first = await issueCa(keys, name, NOW, [name]);
  const later = NOW + 1_000 * DAY_MS;
  const renewed = await issueCa(keys, name, later, [name]);
  registerSecret(first["tls.key"] ?? "");
  assertEquals(authority(first, undefined), "ours");
  assertEquals(authority(first, first["tls.crt"]), "ours");
  assertEquals(authority(renewed, first["tls.crt"], later), "as it is");
  const end = authorityFields(first["tls.crt"]).notAfter;
  assertEquals(authority(renewed, first["tls.crt"], end - RENEWAL_MS - 1), "as it is");
  assertMatch(
    authority(renewed, first["tls.crt"], end - RENEWAL_MS),
    /has an earlier certificate of the authority in Secret router-site-ca, which ends on \d{4}-\d\d-\d\d: .*DELETE/,
  );
  assertEquals(authority(renewed, renewed["tls.crt"], end), "ours");
  const [other, renamed] = [await makeCa(name, NOW, [name]), await issueCa(keys, "another", NOW, [])];
  registerSecret(other["tls.key"] ?? "");
  for (const imported of [other, renamed, { "tls.crt": "no certificate" }]) {
    assertMatch(authority(first, imported["tls.crt"]), /has another certificate authority router-site-ca/);
  }
});
