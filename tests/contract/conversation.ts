/** Holds a Controller to the contract, over plain HTTP. */

import { chapters } from "./chapters.ts";
import { Has, Sameish } from "./step.ts";
import { difference, type Exchange, type Generation, type Step } from "./step.ts";

/** Whom to ask, and as whom. */
export interface Subject {
  /** E.g. `http://127.0.0.1:51121`. */
  readonly url: string;
  /** The whole `Authorization` header, for a Controller whose tokens come from elsewhere. */
  readonly authorization?: string | undefined;
  /** Else: who logs in; on 3.0 signed up where unknown. */
  readonly email?: string | undefined;
  readonly password?: string | undefined;
  /** How long work behind an answer may take, in milliseconds. @default 30000 */
  readonly patienceMs?: number | undefined;
}

/** What came of a step. */
export interface Outcome {
  readonly chapter: string;
  readonly step: string;
  /** Undefined where all was right. */
  readonly problem: string | undefined;
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  /** Parsed where it is JSON; text otherwise; undefined where there is none. */
  readonly body: unknown;
}

/** Goes through the contract, and tells what came of each step. Takes away what it made, whatever happens. */
export async function* holdToContract(subject: Subject): AsyncGenerator<Outcome> {
  const conversation = await Conversation.begin(subject);
  try {
    for (const { title, steps } of chapters) {
      for (const step of steps) {
        if (step.only !== undefined && step.only !== conversation.generation) continue;
        const problem = await conversation.take(step).catch((error) => `${error}`);
        yield {
          chapter: title,
          step: "scene" in step ? step.scene : `${step.ask} -> ${step.status}`,
          problem,
        };
      }
    }
  } finally {
    await conversation.end();
  }
}

/** A dialogue with one Controller. */
export class Conversation {
  /** By the names that steps gave them. */
  readonly values = new Map<string, string>();
  readonly #url: string;
  readonly #client: Deno.HttpClient;

  private constructor(
    readonly subject: Subject,
    readonly generation: Generation,
    readonly authorization: string,
    client: Deno.HttpClient,
  ) {
    this.#url = subject.url.replace(/\/+$/, "");
    this.#client = client;
    this.values.set("run", `ct-${crypto.randomUUID().slice(0, 8)}`);
  }

  /** Finds out which generation it is, logs in, and sees to it that agents can be made. */
  static async begin(subject: Subject): Promise<Conversation> {
    const { hostname, port, protocol } = new URL(subject.url);
    // Past any HTTP_PROXY.
    const proxy = { transport: "tcp" as const, hostname, port: Number(port || 80) };
    const client = Deno.createHttpClient(protocol === "http:" ? { proxy } : {});
    const stranger = new Conversation(subject, "3.0", "", client);
    const status = (await stranger.ask("GET", "/status")).body as { versions: { controller: string } };
    const generation = /^3\.[0-4]\./.test(status.versions.controller) ? "3.0" : "3.7";
    const authorization = subject.authorization ?? await stranger.#login(generation);
    const conversation = new Conversation(subject, generation, authorization, client);
    await conversation.#prepare();
    return conversation;
  }

  async #login(generation: Generation): Promise<string> {
    const { email, password } = this.subject;
    const login = () => this.ask("POST", "/user/login", { email, password });
    let answer = await login();
    if (answer.status === 401 && generation === "3.0") {
      await this.ask("POST", "/user/signup", { firstName: "Contract", lastName: "Suite", email, password });
      answer = await login();
    }
    const { accessToken } = (answer.body ?? {}) as { readonly accessToken?: string };
    if (accessToken === undefined) {
      throw new Error(`the login of ${email} was answered with ${answer.status}`);
    }
    return generation === "3.0" ? accessToken : `Bearer ${accessToken}`;
  }

  /** A default router and a NATS hub are there, or are made: both belong to the whole Controller, and are left. */
  async #prepare(): Promise<void> {
    const singletons = ["/router", ...this.generation === "3.7" ? ["/nats/hub"] : []];
    for (const path of singletons) {
      if ((await this.ask("GET", path)).status !== 404) continue;
      await this.ask("PUT", path, { host: "hub.example" });
    }
  }

  /** Sends a request, with the values that are known in it. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(`${this.#url}/api/v3${this.fill(path)}`, {
      client: this.#client,
      method,
      headers: {
        ...(this.authorization === "" ? {} : { authorization: this.authorization }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(this.fill(body)) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, body: text === "" ? undefined : isJson ? JSON.parse(text) : text };
  }

  /** The same past the proxy, for others who speak to this Controller. */
  readonly fetch: typeof fetch = (input, init) => fetch(input, { ...init, client: this.#client });

  /** `value` with `<name>` replaced by what it stands for. */
  fill<T>(value: T): T {
    if (typeof value === "string") {
      return value.replace(/<(\w+)>/g, (all, name) => this.values.get(name) ?? all) as T;
    }
    if (value instanceof Has) return new Has(this.fill(value.elements)) as T;
    if (value instanceof Sameish) return new Sameish(this.fill(value.elements)) as T;
    if (Array.isArray(value)) return value.map((one) => this.fill(one)) as T;
    if (typeof value !== "object" || value === null || value instanceof RegExp) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.fill(one)])) as T;
  }

  /** Takes a step, and says what was wrong. */
  async take(step: Step): Promise<string | undefined> {
    if ("scene" in step) return await step.run(this).then(() => undefined);
    if (!step.eventually) return this.#judge(step, await this.#send(step));
    const until = Date.now() + (this.subject.patienceMs ?? 30_000);
    for (;;) {
      const problem = this.#judge(step, await this.#send(step));
      if (problem === undefined || Date.now() > until) return problem;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** @throws Error with what was wrong */
  async expect(step: Exchange): Promise<void> {
    const problem = await this.take(step);
    if (problem !== undefined) throw new Error(`${step.ask}: ${problem}`);
  }

  #send({ ask, body }: Exchange): Promise<Answer> {
    const [method = "", path = ""] = ask.split(/ (.*)/s);
    return this.ask(method, path, body);
  }

  #judge({ status, answer, keep = {} }: Exchange, heard: Answer): string | undefined {
    for (const [name, key] of Object.entries(keep)) {
      const value = (heard.body as Readonly<Record<string, unknown>> | undefined)?.[key];
      if (value !== undefined) this.values.set(name, `${value}`);
    }
    if (heard.status !== status) {
      return `status is ${heard.status}, not ${status}: ${JSON.stringify(heard.body)?.slice(0, 300)}`;
    }
    return answer === undefined ? undefined : difference(heard.body, this.fill(answer));
  }

  /** Deletes everything whose name begins with `<run>`. */
  async end(): Promise<void> {
    const run = this.fill("<run>");
    const own = async (path: string, list: string) => {
      const { body } = await this.ask("GET", path);
      const rows = (Array.isArray(body) ? body : (body as Record<string, unknown>)[list]) as Record<
        string,
        string
      >[];
      return (rows ?? []).filter(({ name, url }) => (name ?? url ?? "").startsWith(run));
    };
    try {
      for (const { name } of await own("/application", "applications")) {
        await this.ask("DELETE", `/application/${name}`);
      }
      for (const { name, version } of await own("/edgeResources", "edgeResources")) {
        await this.ask("DELETE", `/edgeResource/${name}/${version}`);
      }
      for (const { name } of await own("/applicationTemplates", "applicationTemplates")) {
        await this.ask("DELETE", `/applicationTemplate/${name}`);
      }
      for (const { id } of await own("/catalog/microservices", "catalogItems")) {
        await this.ask("DELETE", `/catalog/microservices/${id}`);
      }
      for (const { id } of await own("/registries", "registries")) {
        await this.ask("DELETE", `/registries/${id}`);
      }
      for (const { uuid } of await own("/iofog-list", "fogs")) await this.ask("DELETE", `/iofog/${uuid}`);
      if (this.generation === "3.0") return;
      for (const { name } of await own("/secrets", "secrets")) await this.ask("DELETE", `/secrets/${name}`);
      for (const { name } of await own("/configmaps", "configMaps")) {
        await this.ask("DELETE", `/configmaps/${name}`);
      }
    } finally {
      this.#client.close();
    }
  }
}
