/**
 * The whole contract between the typed API and whatever carries its requests: one function, `performRequest`.
 *
 * The shape is the one of cloudydeno's kubernetes_client, so that another transport can be put underneath.
 * `fetch_transport.ts` is ours; tests wrap it with `intercept` to break things at a named request.
 */

/** One HTTP request to the API server. */
export interface RequestOptions {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Absolute path, without query, already escaped. */
  readonly path: string;
  readonly querystring?: URLSearchParams | undefined;
  readonly bodyJson?: unknown;
  /** @default "application/json" */
  readonly accept?: string | undefined;
  /** @default "application/json" where there is a body */
  readonly contentType?: string | undefined;
  /** Aborts the request; the deadline below applies as well. */
  readonly abortSignal?: AbortSignal | undefined;
  /** Milliseconds until the request is given up; for a stream, until its headers have arrived. @default 30000 */
  readonly deadlineMs?: number | undefined;
  /** Parse the body as JSON and return it. */
  readonly expectJson?: boolean | undefined;
  /** Return the body as a stream of bytes; such a request does not count against the bound on requests under way. */
  readonly expectStream?: boolean | undefined;
  /** Does not wait for others, nor count against the bound on requests under way: what must come in time. */
  readonly urgent?: boolean | undefined;
}

/**
 * Carries requests to one API server.
 *
 * Guarantees: every request ends (deadline), a status of 400 and above is thrown as `ApiError`, a body that is not
 * what was asked for is thrown as `ApiError` with status 0 and reason `BadResponse`, and a network failure as
 * `ApiError` with status 0 and reason `Unreachable`.
 */
export interface Transport {
  performRequest(
    options: RequestOptions & { readonly expectStream: true },
  ): Promise<ReadableStream<Uint8Array>>;
  performRequest(options: RequestOptions & { readonly expectJson: true }): Promise<unknown>;
  performRequest(options: RequestOptions): Promise<unknown>;
  /** Closes connections; requests under way are aborted. */
  close?(): void;
}
