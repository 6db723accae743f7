import { assert, assertEquals, assertRejects } from "@std/assert";
import { createCertificateAuthority } from "../../tests/cluster/certificates.ts";
import { ConfigError, type ConnectionConfig } from "./connection_config.ts";
import { ApiError } from "./errors.ts";
import { createFetchTransport } from "./fetch_transport.ts";
import { HttpConnection } from "./http_connection.ts";
import { VirtualClock } from "../../tests/virtual_clock.ts";

const loopback = { dns: [], ip: ["127.0.0.1"] };

function config(parts: Partial<ConnectionConfig>): ConnectionConfig {
  return {
    server: "https://127.0.0.1:1",
    source: "test",
    credentials: () => Promise.resolve({}),
    ...parts,
  };
}

Deno.test("F18 session() makes a new client when the authorities changed, and only then", async () => {
  const [one, two] = [await createCertificateAuthority("one"), await createCertificateAuthority("two")];
  const { certificatePem, keyPem } = await two.issueServer(loopback);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: certificatePem, key: keyPem, onListen: () => {} },
    () => Response.json({}),
  );
  let authorities = one.certificatePem;
  const transport = createFetchTransport(
    config({
      server: `https://127.0.0.1:${server.addr.port}`,
      authorities: () => Promise.resolve(authorities),
    }),
  );
  const request = () => transport.performRequest({ method: "GET", path: "/x", expectJson: true });
  const error = await assertRejects(request, ApiError);
  assertEquals(error.reason, "Unreachable");
  assert(error.message.includes("unknown authority; set certificate-authority-data"), error.message);
  authorities = two.certificatePem;
  assertEquals(await request(), {});
  transport.close?.();
  await server.shutdown();
});

Deno.test("session() names a server certificate for other names", async () => {
  const authority = await createCertificateAuthority("one");
  const { certificatePem, keyPem } = await authority.issueServer({ dns: ["other.example"], ip: [] });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: certificatePem, key: keyPem, onListen: () => {} },
    () => Response.json({}),
  );
  const transport = createFetchTransport(config({
    server: `https://127.0.0.1:${server.addr.port}`,
    authorities: () => Promise.resolve(authority.certificatePem),
  }));
  await assertRejects(
    () => transport.performRequest({ method: "GET", path: "/x" }),
    ApiError,
    "its certificate is for other names",
  );
  transport.close?.();
  await server.shutdown();
});

Deno.test("session() keeps its client while certificates stay the same", async () => {
  const clock = new VirtualClock();
  let token = 0;
  const connection = new HttpConnection(
    config({ credentials: () => Promise.resolve({ authorization: `${++token}` }) }),
    clock,
  );
  const first = await connection.session();
  assertEquals(await connection.session(), first);
  connection.expire();
  const second = await connection.session();
  assert(second.client === first.client);
  assertEquals([first.authorization, second.authorization], ["1", "2"]);
  // Somebody else already replaced the rejected one.
  assert(await connection.session(first) === second);
  connection.close();
  await assertRejects(() => connection.session(), ConfigError, "closed");
});

Deno.test("session() says which configuration has an unusable certificate", async () => {
  const authority = await createCertificateAuthority("one");
  const { certificatePem } = await authority.issueClient("me", []);
  const credentials = () =>
    Promise.resolve({ clientCertificate: { certificate: certificatePem, key: "no key" } });
  const connection = new HttpConnection(
    config({ source: "~/.kube/config, context kind", credentials }),
    new VirtualClock(),
  );
  await assertRejects(
    () => connection.session(),
    ConfigError,
    "~/.kube/config, context kind: the certificate authority",
  );
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const distrusted = new HttpConnection(
    config({ authorities: () => Promise.resolve(broken) }),
    new VirtualClock(),
  );
  await assertRejects(() => distrusted.session(), ConfigError, "is not usable PEM");
});
