/** The spec and status of an Application, for both groups; see the YAML of iofogctl and potctl. */

import * as z from "zod";
import {
  anything,
  checkEdgeSpec,
  controllerName,
  flag,
  immutable,
  ownName,
  statusOf,
  text,
  whole,
} from "../fields.ts";
import { embeddedMicroservice, natsAccess } from "../microservice/schema.ts";

const routes = z.array(z.strictObject({
  name: controllerName("Name. Left out: `r-FROM-TO`.").optional(),
  from: z.string().meta({ description: "Microservice that sends." }),
  to: z.string().meta({ description: "Microservice that receives." }),
})).optional().meta({ description: "Routes between its microservices; ioFog only." });

const template = z.strictObject({
  name: controllerName("Name of the template in the Controller."),
  variables: z.array(z.strictObject({
    key: z.string().meta({ description: "Name of the variable." }),
    value: anything("Its value, of any type. It wins over the default in the template."),
  })).optional().meta({ description: "Values for the template's variables." }),
}).optional().meta({
  description:
    "A template of the Controller that microservices and routes are taken from, instead of giving them here. It is " +
    "followed when it changes.",
});

const spec = z.strictObject({
  name: ownName,
  description: text("What it is."),
  isActivated: z.boolean().default(true).meta({ description: "Whether agents run it." }),
  microservices: z.array(embeddedMicroservice).optional().meta({ description: "Its microservices." }),
  routes,
  template,
  natsConfig: natsAccess,
  isSystem: flag("Only the Controller makes such: it is not used here."),
  replicas: whole("Not used: it stands in resources of earlier operators."),
}).superRefine(({ microservices = [], routes = [], template }, context) => {
  if (template !== undefined && microservices.length + routes.length > 0) {
    context.addIssue({
      code: "custom",
      path: ["template"],
      message: "stands instead of microservices and routes: remove one or the other",
    });
  }
  const names = new Set<string>();
  const ports = new Map<string, string>();
  microservices.forEach(({ agent, container, name }, index) => {
    container?.ports?.forEach(({ external }, which) => {
      const key = `${agent.name} ${external}`;
      const holder = ports.get(key);
      if (holder !== undefined && holder !== name) {
        context.addIssue({
          code: "custom",
          path: ["microservices", index, "container", "ports", which, "external"],
          message: `is port ${external}, which ${holder} has on the same agent: choose another`,
        });
      }
      ports.set(key, name);
    });
    if (names.has(name)) {
      context.addIssue({
        code: "custom",
        path: ["microservices", index, "name"],
        message: `${name} is there a second time: give each microservice a name of its own`,
      });
    }
    names.add(name);
  });
  const given = new Set<string>();
  routes.forEach((route, index) => {
    const name = route.name ?? `r-${route.from}-${route.to}`;
    const pair = `${route.from} to ${route.to}`;
    for (const [key, field] of [[name, "name"], [pair, "to"]] as const) {
      if (given.has(`${field} ${key}`)) {
        context.addIssue({
          code: "custom",
          path: ["routes", index, field],
          message: `${key} is there a second time`,
        });
      }
      given.add(`${field} ${key}`);
    }
  });
}).meta({ description: "What the application should be.", ...immutable("name") });

export type ApplicationSpec = z.output<typeof spec>;

/** The schema of the custom resource, for both groups. */
export const applicationSchema = z.strictObject({
  spec,
  status: statusOf({
    isActivated: flag("Whether agents run it."),
    running: text("Microservices that run, of all, e.g. 2/3."),
    microservices: z.array(z.strictObject({
      name: z.string().meta({ description: "Name." }),
      agent: text("Agent that it is on."),
      status: text("What the agent says of it, e.g. RUNNING."),
    })).optional().meta({ description: "Its microservices." }),
  }),
}).meta({ description: "Microservices on edge nodes that belong together, and the routes between them." });

export const parseApplication = (raw: unknown) => checkEdgeSpec(spec, raw);

/** What a template gave, under the names that it has in a spec. */
export const parseRendered = (raw: unknown) => checkEdgeSpec(renderedSpec, raw);

const renderedSpec = z.object({ microservices: spec.shape.microservices, routes: spec.shape.routes });
