/** The Controller client over HTTPS: whom it trusts, and what it says about a certificate that it does not. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createControllerClient } from "../../src/controller/client.ts";
import { ControllerError } from "../../src/controller/errors.ts";
import { createCertificateAuthority, type KeyPair } from "../cluster/certificates.ts";

const online = {
  status: "online",
  timestamp: 1,
  uptimeSec: 1,
  versions: { controller: "3.0.4", ecnViewer: "3.0.2" },
};

/** What `status()` gives from an HTTPS server with this certificate: its answer, or the error's message. */
async function statusFrom(pair: KeyPair, caPem: string | undefined, host = "127.0.0.1") {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: pair.certificatePem,
    key: pair.keyPem,
    onListen: () => {},
  }, () => Response.json(online));
  const client = createControllerClient({ baseUrl: `https://${host}:${server.addr.port}`, caPem });
  try {
    return await client.status();
  } catch (error) {
    if (error instanceof ControllerError && ["Unreachable", "Untrusted"].includes(error.code)) {
      return error.message;
    }
    throw error;
  } finally {
    client.close();
    await server.shutdown();
  }
}

Deno.test("a Controller on HTTPS is trusted through its authority, by name and by address", async () => {
  const authority = await createCertificateAuthority("controller-ca");
  const pair = await authority.issueServer({ dns: ["localhost"], ip: ["127.0.0.1"] });
  for (const host of ["127.0.0.1", "localhost"]) {
    assertEquals(await statusFrom(pair, authority.certificatePem, host), online);
  }
});

Deno.test("a certificate that cannot be trusted is refused, with the remedy", async () => {
  const authority = await createCertificateAuthority("controller-ca");
  const other = await createCertificateAuthority("other-ca");
  const pair = await authority.issueServer({ dns: ["controller.example"], ip: [] });
  for (
    const [caPem, expected] of [
      [undefined, "from an unknown authority"],
      [other.certificatePem, "from an unknown authority"],
      [authority.certificatePem, "is for other names"],
    ] as const
  ) {
    const message = await statusFrom(pair, caPem);
    assert(typeof message === "string" && message.includes(expected), `${message}`);
  }
});

Deno.test("createControllerClient() refuses a CA that is no certificate", () => {
  for (
    const caPem of ["no PEM at all", "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"]
  ) {
    const baseUrl = "https://controller.example";
    assertThrows(() => createControllerClient({ baseUrl, caPem }), TypeError, "not usable PEM");
  }
});

Deno.test("an HTTPS address where plain HTTP is spoken is told from a Controller that is down", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json(online),
  );
  const client = createControllerClient({ baseUrl: `https://127.0.0.1:${server.addr.port}` });
  const error = await assertRejects(() => client.status(), ControllerError);
  assert(error.message.includes("does not speak TLS"), error.message);
  client.close();
  await server.shutdown();
});
