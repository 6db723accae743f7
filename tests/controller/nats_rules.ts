/** Rules of 3.7.3 for NATS accounts (of applications) and users (of microservices), as far as others name them. */

import type { EdgeState } from "./edge_state.ts";
import { authenticated, type Call, rejected, rejectedOrInvalid, rejectedOrMissing } from "./route.ts";
import type { Route, World } from "./route.ts";
import { Failure, type PropertySchema, validate } from "./validation.ts";

type Kind = "account" | "user";

/** Access to NATS, as an application or a microservice has it. */
export interface NatsConfig {
  readonly natsAccess: boolean;
  readonly natsRule: string | null;
}

const name: PropertySchema = { type: "string", minLength: 1, maxLength: 255 };

/** `natsConfig` in a body. */
export const natsConfigSchema: PropertySchema = {
  id: "/natsConfig",
  type: "object",
  properties: { natsAccess: { type: "boolean" }, natsRule: name },
  additionalProperties: false,
};

export const natsRuleRoutes: readonly Route[] = (["account", "user"] as const).flatMap((kind): Route[] => [
  {
    ...{ only: "3.7.3", method: "GET", path: `/nats/${kind}-rules`, success: 200, failures: rejected },
    handle: (world, call) => list(world, call, kind),
  },
  {
    ...{
      only: "3.7.3",
      method: "POST",
      path: `/nats/${kind}-rules`,
      success: 201,
      failures: rejectedOrInvalid,
    },
    handle: (world, call) => create(world, call, kind),
  },
  {
    ...{ only: "3.7.3", method: "DELETE", path: `/nats/${kind}-rules/:name`, success: 204 },
    failures: rejectedOrMissing,
    handle: (world, call) => remove(world, call, kind),
  },
]);

/** What comes with the Controller. */
export const builtInRules: EdgeState["natsRules"] = {
  account: [
    "default-system-account",
    "account-monitoring-streams",
    "account-monitoring-services",
    "default-account",
  ],
  user: ["default-user", "default-mqtt-user", "default-leaf-user"],
};

function list(world: World, call: Call, kind: Kind) {
  authenticated(world, call);
  return { rules: world.state.natsRules[kind].map((name, index) => ({ id: index + 1, name })) };
}

function create(world: World, call: Call, kind: Kind) {
  authenticated(world, call);
  const body = validate(call.body, { properties: { name }, required: ["name"] }) as { readonly name: string };
  const { natsRules } = world.state;
  if (natsRules[kind].includes(body.name)) {
    throw new Failure("ValidationError", `NATS ${kind} rule ${body.name} already exists`);
  }
  world.state.natsRules = { ...natsRules, [kind]: [...natsRules[kind], body.name] };
  return { id: natsRules[kind].length + 1, name: body.name };
}

function remove(world: World, call: Call, kind: Kind): void {
  authenticated(world, call);
  const { natsRules } = world.state;
  const { name = "" } = call.parameters;
  if (!natsRules[kind].includes(name)) {
    throw new Failure("NotFoundError", `NATS ${kind} rule ${name} not found`);
  }
  world.state.natsRules = { ...natsRules, [kind]: natsRules[kind].filter((other) => other !== name) };
}

/** What there was, with what a body says of it; without access there is no rule. */
export function natsConfigOf(
  world: World,
  kind: Kind,
  given: Partial<NatsConfig> | undefined,
  before: NatsConfig = { natsAccess: false, natsRule: null },
): NatsConfig {
  const { natsAccess = before.natsAccess, natsRule = before.natsRule } = given ?? {};
  if (given?.natsRule && !world.state.natsRules[kind].includes(given.natsRule)) {
    throw new Failure("ValidationError", `NATS ${kind} rule ${given.natsRule} does not exist`);
  }
  return { natsAccess, natsRule: natsAccess ? natsRule : null };
}
