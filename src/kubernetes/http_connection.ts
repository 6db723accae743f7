/**
 * Keeps an HTTP client that matches the configured trust and credentials, which change while the process runs.
 *
 * They are read again once a minute, after a 401 and after a failed connection. A new client is made only when a
 * certificate changed; requests under way on the old one go on. When reading fails, what was read last stays in use:
 * a file that is being rotated must not stop the operator.
 */

import type { Clock } from "../clock.ts";
import { ConfigError, type ConnectionConfig, type Credentials } from "./connection_config.ts";

/** What a request is sent with. */
export interface Session {
  readonly client: Deno.HttpClient;
  readonly authorization: string | undefined;
}

/** Kubelet renews a projected token when a fifth of its life is left, so a minute is early enough. */
const maxAgeMs = 60_000;

/** The one connection pool to an API server. */
export class HttpConnection {
  #session: Session | undefined;
  /** Certificates that the client was made from. */
  #material = "";
  #readAt = 0;
  #reading: Promise<Session> | undefined;
  #closed = false;

  constructor(private readonly config: ConnectionConfig, private readonly clock: Clock) {}

  /**
   * What to send the next request with.
   *
   * @param rejected The session that the server answered 401 to: another one is wanted, and a failure to get it is
   * thrown.
   * @throws ConfigError when nothing usable was ever read.
   */
  async session(rejected?: Session): Promise<Session> {
    const fresh = this.clock.monotonic() - this.#readAt < maxAgeMs;
    if (this.#session !== undefined && fresh && this.#session !== rejected) return this.#session;
    this.#reading ??= this.#read(rejected !== undefined).finally(() => this.#reading = undefined);
    try {
      return await this.#reading;
    } catch (error) {
      if (this.#session === undefined || rejected !== undefined) throw error;
      this.#readAt = this.clock.monotonic();
      return this.#session;
    }
  }

  /** Reads everything again before the next request. */
  expire(): void {
    this.#readAt = -Infinity;
  }

  close(): void {
    this.#closed = true;
    this.#session?.client.close();
    this.#session = undefined;
  }

  async #read(rejected: boolean): Promise<Session> {
    const [authorities, credentials] = await Promise.all([
      this.config.authorities?.(),
      this.config.credentials({ rejected }),
    ]);
    if (this.#closed) throw new ConfigError(`${this.config.source}: the connection was closed`);
    const { certificate = "", key = "" } = credentials.clientCertificate ?? {};
    const material = [authorities ?? "", certificate, key].join("\n\n");
    const previous = this.#session?.client;
    const unchanged = previous !== undefined && material === this.#material;
    const client = unchanged ? previous : this.#createClient(authorities, credentials);
    if (!unchanged) previous?.close();
    this.#material = material;
    this.#readAt = this.clock.monotonic();
    return this.#session = { client, authorization: credentials.authorization };
  }

  #createClient(authorities: string | undefined, credentials: Credentials): Deno.HttpClient {
    const { clientCertificate } = credentials;
    try {
      return Deno.createHttpClient({
        caCerts: authorities === undefined ? [] : [authorities],
        // Concurrent HTTP/2 requests may fail with REFUSED_STREAM (deno#21789), and are no faster here.
        http2: false,
        poolMaxIdlePerHost: 16,
        ...(this.config.proxy === undefined ? {} : { proxy: proxyOf(this.config.proxy) }),
        ...(clientCertificate === undefined
          ? {}
          : { cert: clientCertificate.certificate, key: clientCertificate.key }),
      });
    } catch (cause) {
      const which = clientCertificate === undefined
        ? "the certificate authority"
        : "the certificate authority, client certificate or client key";
      throw new ConfigError(`${this.config.source}: ${which} is not usable PEM (${message(cause)})`, {
        cause,
      });
    }
  }
}

function proxyOf(address: string): Deno.Proxy {
  const url = new URL(address);
  const { password, username } = url;
  url.username = "";
  url.password = "";
  const transport = url.protocol.startsWith("socks5")
    ? "socks5"
    : url.protocol === "https:"
    ? "https"
    : "http";
  const plain = { transport, url: url.href } as const;
  if (username === "") return plain;
  return {
    ...plain,
    basicAuth: { username: decodeURIComponent(username), password: decodeURIComponent(password) },
  };
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
