/** Plays the monitors of NATS servers of which each is well and none has a stream: all under one address. */

/** What plays them. */
export interface NatsMonitors {
  /** For whichever server. */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts them. */
export function playNatsMonitors(): NatsMonitors {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) => Response.json(url.includes("/healthz") ? { status: "ok" } : { meta_cluster: {} }),
  );
  return { url: `http://127.0.0.1:${server.addr.port}`, close: () => server.shutdown() };
}
