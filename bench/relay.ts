/**
 * A relay on this machine that counts what goes through it, without a look at it: TLS stays between the two ends. It can
 * be cut, as if the server were away.
 */

/** See the module. */
export class Relay implements Disposable {
  #listener: Deno.Listener;
  readonly #port: number;
  readonly #target: { readonly hostname: string; readonly port: number };
  readonly #open = new Set<Deno.Conn>();
  /** Bytes that the client received and sent. */
  received = 0;
  sent = 0;

  /** @param target Base URL of the server. */
  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#target = { hostname, port: Number(port) };
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = (this.#listener.addr as Deno.NetAddr).port;
    this.#accept();
  }

  /** Where the client connects instead. */
  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** Refuses connections, and ends those that are open. */
  cut(): void {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
  }

  /** Takes connections again. */
  restore(): void {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: this.#port });
    this.#accept();
  }

  [Symbol.dispose](): void {
    this.cut();
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        const server = await Deno.connect(this.#target);
        this.#open.add(client).add(server);
        this.#pump(client, server, (bytes) => this.sent += bytes);
        this.#pump(server, client, (bytes) => this.received += bytes);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #pump(from: Deno.Conn, to: Deno.Conn, count: (bytes: number) => void): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
        count(read);
        for (let written = 0; written < read;) written += await to.write(buffer.subarray(written, read));
      }
    } catch {
      // Either end may go away at any time.
    }
    for (const connection of [from, to]) {
      this.#open.delete(connection);
      close(connection);
    }
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
