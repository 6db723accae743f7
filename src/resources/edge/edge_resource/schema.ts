/** The spec and status of an EdgeResource, for both groups. */

import * as z from "zod";
import { checkEdgeSpec, controllerName, immutable, ownName, statusOf, strings, text } from "../fields.ts";

/** The Controller's own expression, in which a number is one digit; what may follow is as in semantic versions. */
const VERSION =
  /^v?[0-9]\.[0-9]\.[0-9](-([0-9]|[A-Za-z-][-0-9A-Za-z]*)(\.([0-9]|[A-Za-z-][-0-9A-Za-z]*))*)?(\+[-0-9A-Za-z]+(\.[-0-9A-Za-z]+)*)?$/;

const endpoint = z.strictObject({
  name: controllerName("Name."),
  description: text("What it is for."),
  method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]).meta({
    description: "HTTP method.",
  }),
  url: z.string().meta({ description: "Path." }),
  requestType: text("Content type of requests."),
  responseType: text("Content type of answers."),
  requestPayloadExample: text("An example of a request."),
  responsePayloadExample: text("An example of an answer."),
});

const spec = z.strictObject({
  name: ownName,
  version: z.string()
    .refine((version) => VERSION.test(version), {
      error: "must be a version such as v1.2.0: the Controller takes three places with one digit in each",
    })
    .meta({ description: "Version, three places of one digit, e.g. v1.2.0. It cannot be changed." }),
  description: text("What it is."),
  interfaceProtocol: z.enum(["http", "https", "ws", "wss"]).meta({
    description:
      "Protocol. A change replaces the resource, and its links, since the Controller would lose its interface.",
  }),
  interface: z.strictObject({
    endpoints: z.array(endpoint).optional().meta({ description: "Endpoints." }),
  }).optional().meta({ description: "What it offers. Left out: whatever there is stays." }),
  display: z.strictObject({
    name: text("Name to show."),
    icon: text("Icon."),
    color: text("Colour, e.g. #336699."),
  }).optional().meta({ description: "How it is shown." }),
  orchestrationTags: strings("Tags that linked agents get."),
  custom: z.record(z.string(), z.unknown()).optional().meta({
    description: "Anything else.",
    "x-kubernetes-preserve-unknown-fields": true,
  }),
}).meta({ description: "What the edge resource should be.", ...immutable("name", "version") });

export type EdgeResourceSpec = z.output<typeof spec>;

/** The schema of the custom resource, for both groups. */
export const edgeResourceSchema = z.strictObject({
  spec,
  status: statusOf({
    version: text("Version."),
    linked: strings("Agents that it is linked to."),
    linkedTo: text("The same for people: up to three names, or how many agents."),
    written: text("The endpoints that were written last, where the Controller does not tell them."),
  }),
}).meta({ description: "A device or service at the edge that microservices can use." });

export const parseEdgeResource = (raw: unknown) => checkEdgeSpec(spec, raw);
