/** The spec and status of a Route; the Controller of PoT has none, which a condition says. */

import * as z from "zod";
import { checkEdgeSpec, controllerName, immutable, ownName, statusOf, text } from "../fields.ts";

const spec = z.strictObject({
  name: ownName,
  application: controllerName("Name of the application in the Controller. It cannot be changed."),
  from: z.string().meta({ description: "Microservice of the application that sends." }),
  to: z.string().meta({ description: "Microservice of the application that receives." }),
}).meta({ description: "What the route should be.", ...immutable("name", "application") });

export type RouteSpec = z.output<typeof spec>;

/** The schema of the custom resource, for both groups. */
export const routeSchema = z.strictObject({
  spec,
  status: statusOf({ route: text("Application and name in the Controller.") }),
}).meta({ description: "A way for messages from one microservice to another." });

export const parseRoute = (raw: unknown) => checkEdgeSpec(spec, raw);
