import { assertEquals, assertRejects } from "@std/assert";
import { createCertificateAuthority } from "../../tests/cluster/certificates.ts";
import { ControllerError } from "./errors.ts";
import { createControllerTransport } from "./transport.ts";

Deno.test("performRequest() verifies the certificate of a server for the name that it is told, wherever the server is", async () => {
  const authority = await createCertificateAuthority("controller-ca");
  const stranger = await createCertificateAuthority("another-ca");
  const tls = await authority.issueServer({ dns: ["controller.pot.svc"], ip: [] });
  const received: unknown[] = [];
  await using server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: tls.certificatePem,
    key: tls.keyPem,
    onListen: () => {},
  }, async (request) => {
    const { method, url } = request;
    received.push([method, new URL(url).pathname, await request.text()]);
    if (url.endsWith("/nothing")) return new Response(null, { status: 204 });
    return Response.json({ is: "well" }, { status: url.endsWith("/wrong") ? 404 : 200 });
  });
  const baseUrl = `https://127.0.0.1:${server.addr.port}`;
  const ask = async (
    options: { readonly caPem: string; readonly serverName?: string },
    request: Partial<Parameters<ReturnType<typeof createControllerTransport>["performRequest"]>[0]> = {},
  ) => {
    const transport = createControllerTransport({ baseUrl, ...options });
    try {
      return await transport.performRequest({ method: "GET", route: "/status", ...request });
    } finally {
      transport.close();
    }
  };
  const right = { caPem: authority.certificatePem, serverName: "controller.pot.svc" };
  assertEquals(await ask(right), { is: "well" });
  assertEquals(await ask(right, { method: "PUT", route: "/router", bodyJson: { host: "ü" } }), {
    is: "well",
  });
  assertEquals(await ask(right, { method: "DELETE", route: "/nothing" }), undefined);
  assertEquals(received, [
    ["GET", "/api/v3/status", ""],
    ["PUT", "/api/v3/router", '{"host":"ü"}'],
    ["DELETE", "/api/v3/nothing", ""],
  ]);
  const refused = async (options: Parameters<typeof ask>[0], status = 0) => {
    const error = await assertRejects(() => ask(options), ControllerError);
    assertEquals([error.status, error.code], [status, "Untrusted"]);
  };
  await refused({ caPem: authority.certificatePem });
  await refused({ ...right, serverName: "controller.other.svc" });
  await refused({ ...right, caPem: stranger.certificatePem });
  const error = await assertRejects(() => ask(right, { route: "/wrong" }), ControllerError);
  assertEquals(error.status, 404);
  assertEquals(received.length, 4);
});
