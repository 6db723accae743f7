/**
 * Sends the calls of a file to a Controller, one after the other, with a bare `fetch`: what an operator's calls take at
 * least. Prints the milliseconds.
 *
 *     replay.ts FILE URL EMAIL PASSWORD
 */

/** One call, below `/api/v3`. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

if (import.meta.main) {
  const [file = "", url = "", email = "", password = ""] = Deno.args;
  const calls = JSON.parse(await Deno.readTextFile(file)) as readonly Call[];
  const headers = { "content-type": "application/json" };
  const login = { method: "POST", headers, body: JSON.stringify({ email, password }) };
  const { accessToken } = await (await fetch(`${url}/api/v3/user/login`, login)).json();
  const startedAt = performance.now();
  for (const { body, method, path } of calls) {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...headers, authorization: accessToken },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
  }
  console.log(performance.now() - startedAt);
}
