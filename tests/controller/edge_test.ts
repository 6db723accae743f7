/** What the contract cannot show on a real Controller: time, silence, faults, other users, another dialect. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { VirtualClock } from "../virtual_clock.ts";
import { registerSecret } from "../secrets.ts";
import { type Controller, startController } from "./controller.ts";
import { SimulatedAgent } from "./simulated_agent.ts";
import { createState } from "./state.ts";

/** A user of a 3.0.4 stand-in. */
class User {
  private constructor(readonly controller: Controller, readonly token: string) {}

  static async signUp(controller: Controller, email: string): Promise<User> {
    const password = registerSecret("edge-test-password");
    const stranger = new User(controller, "");
    await stranger.ask("POST", "/user/signup", { firstName: "Edge", lastName: "Tester", email, password });
    const { accessToken } = await stranger.ask("POST", "/user/login", { email, password }) as {
      accessToken: string;
    };
    return new User(controller, accessToken);
  }

  /** The answer's body, or its status where there is none. */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.controller.url}/api/v3${path}`, {
      method,
      headers: {
        ...(this.token === "" ? {} : { authorization: this.token }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : response.status;
  }

  /** An agent's uuid. */
  async agent(name: string): Promise<string> {
    const { uuid } = await this.ask("POST", "/iofog", { name, fogType: 1, host: "10.0.0.1" }) as {
      uuid: string;
    };
    return uuid;
  }

  async microservice(application: string, name: string, agentName: string): Promise<string> {
    const images = [{ fogTypeId: 1, containerImage: "x:1" }];
    const body = { application, name, agentName, images };
    return ((await this.ask("POST", "/microservices", body)) as { uuid: string }).uuid;
  }
}

async function withUser(run: (user: User, clock: VirtualClock) => Promise<void>): Promise<void> {
  const clock = new VirtualClock();
  const controller = await startController({ clock });
  try {
    const user = await User.signUp(controller, "one@example.com");
    await user.ask("PUT", "/router", { host: "router.example" });
    await run(user, clock);
  } finally {
    await controller.close();
  }
}

Deno.test("a simulated agent runs what it is given, restarts what was touched, and is UNKNOWN once it is silent", () =>
  withUser(async (user, clock) => {
    const { url } = user.controller;
    const uuid = await user.agent("edge-1");
    await user.ask("POST", "/application", { name: "app", isActivated: true });
    const microservice = await user.microservice("app", "one", "edge-1");
    const { key } = await user.ask("GET", `/iofog/${uuid}/provisioning-key`) as { key: string };
    const agent = await SimulatedAgent.provision({ url, key, clock });
    const status = async () => {
      const row = await user.ask("GET", `/microservices/${microservice}`) as { status: { status: string } };
      return row.status.status;
    };
    await agent.turn();
    assertEquals(await status(), "RUNNING");
    // Its router and the microservice.
    assertEquals([agent.containers.size, agent.started], [2, 2]);
    await agent.turn();
    assertEquals(agent.started, 2);
    await user.ask("PATCH", `/microservices/${microservice}`, { agentName: "edge-1", logSize: 7 });
    await agent.turn();
    assertEquals(agent.started, 2);
    await user.ask("PATCH", `/microservices/${microservice}`, { agentName: "edge-1", env: [] });
    await agent.turn();
    assertEquals(agent.started, 3);
    agent.say(() => ({ status: "FAILED", errorMessage: "no such image" }));
    await agent.report();
    assertEquals(await status(), "FAILED");
    await clock.advance(31_000);
    const { daemonStatus, lastActive } = await user.ask("GET", `/iofog/${uuid}`) as Record<string, unknown>;
    assertEquals([daemonStatus, typeof lastActive, await status()], ["UNKNOWN", "number", "UNKNOWN"]);
    await user.ask("PATCH", "/application/app", { isActivated: false });
    await agent.turn();
    assertEquals([agent.containers.size, await status()], [1, "STOPPED"]);
  }));

Deno.test("a provisioning key serves once, for twenty minutes, until the next one is made", () =>
  withUser(async (user, clock) => {
    const { url } = user.controller;
    const uuid = await user.agent("edge-1");
    const mint = async () =>
      (await user.ask("GET", `/iofog/${uuid}/provisioning-key`) as { key: string }).key;
    const first = await mint(), second = await mint();
    await assertRejects(() => SimulatedAgent.provision({ url, key: first, clock }), Error, "404");
    await clock.advance(20 * 60_000 + 1);
    await assertRejects(
      () => SimulatedAgent.provision({ url, key: second, clock }),
      Error,
      "Expired provision key",
    );
    const key = await mint();
    await SimulatedAgent.provision({ url, key, clock });
    await assertRejects(() => SimulatedAgent.provision({ url, key, clock }), Error, "404");
  }));

Deno.test("an agent's key is not spent on an architecture that its microservices have no image for", () =>
  withUser(async (user, clock) => {
    const { url } = user.controller;
    const uuid = await user.agent("edge-1");
    await user.ask("POST", "/application", { name: "app" });
    await user.microservice("app", "one", "edge-1");
    const { key } = await user.ask("GET", `/iofog/${uuid}/provisioning-key`) as { key: string };
    const provision = (architecture: "x86" | "arm") =>
      SimulatedAgent.provision({ url, key, architecture, clock });
    await assertRejects(() => provision("arm"), Error, '\\"one\\" microservice');
    assertEquals((await provision("x86")).uuid, uuid);
  }));

Deno.test("one user's DELETE of an application takes another's microservices, and everybody sees all routes", () =>
  withUser(async (user) => {
    const other = await User.signUp(user.controller, "two@example.com");
    await user.agent("edge-1");
    await user.ask("POST", "/application", { name: "demo" });
    await user.microservice("demo", "m", "edge-1");
    await user.ask("POST", "/routes", { name: "r", application: "demo", from: "m", to: "m" });
    assertEquals(await other.ask("GET", "/iofog-list"), { fogs: [] });
    assertEquals((await other.ask("GET", "/routes") as { routes: unknown[] }).routes.length, 1);
    await other.ask("POST", "/application", { name: "demo" });
    assertEquals(await other.ask("DELETE", "/application/demo"), 204);
    const left = await user.ask("GET", "/application/demo") as { microservices: unknown[] };
    assertEquals(left.microservices, []);
  }));

Deno.test("a creation whose answer is lost has been made, and one that was refused for us has not", () =>
  withUser(async (user) => {
    const { controller } = user;
    const names = () => controller.state.applications.map(({ name }) => name);
    controller.breakAt({ method: "POST", path: "/application", action: { type: "cut" } });
    await assertRejects(() => user.ask("POST", "/application", { name: "cut" }));
    const gatewayTimeout = { type: "answer", status: 504, carriedOut: true } as const;
    controller.breakAt({ method: "POST", path: "/application", action: gatewayTimeout });
    assertEquals(await user.ask("POST", "/application", { name: "late" }), 504);
    controller.breakAt({ method: "POST", path: "/application", action: { type: "answer", status: 503 } });
    assertEquals(await user.ask("POST", "/application", { name: "never" }), 503);
    assertEquals(names(), ["cut", "late"]);
  }));

Deno.test("another database, or another version, can take its place in mid-flight", () =>
  withUser(async (user) => {
    const { controller } = user;
    await user.agent("edge-1");
    const { users, tokens } = controller.state;
    controller.replaceBy({ ...createState(), users, tokens });
    assertEquals(await user.ask("GET", "/iofog-list"), { fogs: [] });
    controller.speak("3.7.3");
    const { versions } = await user.ask("GET", "/status") as { versions: { controller: string } };
    assertEquals(versions.controller, "3.7.3");
    assertEquals(await user.ask("GET", "/routes"), 404);
    const refusal = { error: "Unauthorized: No authentication information found" };
    assertEquals(await user.ask("GET", "/iofog-list"), refusal);
  }));

Deno.test("an agent forgets no change that came between its look and its thanks", () =>
  withUser(async (user) => {
    const { url } = user.controller;
    const uuid = await user.agent("edge-1");
    await user.ask("POST", "/application", { name: "app", isActivated: true });
    const { key } = await user.ask("GET", `/iofog/${uuid}/provisioning-key`) as { key: string };
    let beforeThanks = async () => {};
    const agent = await SimulatedAgent.provision({
      url,
      key,
      fetch: async (address, options) => {
        if (options?.method === "PATCH") await beforeThanks();
        return await fetch(address, options);
      },
    });
    beforeThanks = async () => {
      beforeThanks = async () => {};
      await user.microservice("app", "one", "edge-1");
    };
    await agent.turn();
    const { size } = agent.containers;
    await agent.turn();
    assertEquals(agent.containers.size, size + 1);
  }));

Deno.test("devices that stand ready take the first agents, and what is put on them runs", () =>
  withUser(async (user) => {
    const { controller } = user;
    const said: string[] = [];
    await using _devices = controller.playDevices({
      count: 1,
      everyMs: 5,
      onAction: (line) => said.push(line),
    });
    await user.agent("edge-1");
    await user.agent("edge-2");
    await user.ask("POST", "/application", { name: "app", isActivated: true });
    const uuid = await user.microservice("app", "one", "edge-1");
    const isRunning = async () => {
      const row = await user.ask("GET", `/microservices/${uuid}`) as { status: { status: string } };
      return row.status.status === "RUNNING";
    };
    const until = Date.now() + 30_000;
    while (!await isRunning()) assert(Date.now() < until, said.join("; "));
    const provisioned = controller.state.agents.filter(({ credential }) => credential !== undefined);
    assertEquals(provisioned.map(({ name }) => name), ["edge-1"]);
    assertEquals(said[0], "device 1 is agent edge-1 now");
  }));
