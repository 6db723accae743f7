/** What the status of each kind tells besides its conditions. */

import type { ExternalChild, StatusContext } from "../../operator/definition.ts";
import { foundIn } from "./assessment.ts";
import * as reasons from "./reasons.ts";
import { type Account, troubleOfMicroservices } from "./status.ts";
import { AGENT, APPLICATION, EDGE_RESOURCE, type Image, MICROSERVICE, ROUTE } from "./world.ts";

function childOf(context: StatusContext, kind: string): ExternalChild | undefined {
  return context.desired.children.find((child) => child.type === "external" && child.kind === kind) as
    | ExternalChild
    | undefined;
}

/** What can be told is told, and nothing of the rest. */
function told(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== ""),
  );
}

const architectures: Readonly<Record<number, string>> = { 1: "x86", 2: "arm" };

export function agentAccount(context: StatusContext): Account {
  const name = childOf(context, AGENT)?.name ?? "";
  const found = foundIn(context, AGENT, name);
  if (found === undefined) return { fields: {}, message: "" };
  const {
    daemonStatus,
    host,
    ipAddress,
    ipAddressExternal,
    provisioned,
    version,
    violations,
    warningMessage,
  } = found.fields;
  const known = [ipAddressExternal, ipAddress].find((address) => address && address !== "0.0.0.0");
  const warning = warningMessage === "HEALTHY" ? undefined : warningMessage;
  const fields = told({
    uuid: found.id,
    daemonStatus,
    version,
    address: known ?? host,
    architecture: architectures[Number(found.fields["fogType"])],
    provisioned,
    warningMessage: warning,
    violations: (violations as string[]).length > 0 ? violations : undefined,
    microservices: found.contains?.length ?? 0,
  });
  if (warning) {
    const message = `the Controller warns of agent ${name}: ${warning}`;
    return { fields, message, trouble: { status: "False", reason: reasons.AGENT_WARNING, message } };
  }
  if (provisioned !== true) {
    const message = `agent ${name} is in the Controller and waits to be provisioned`;
    return { fields, reason: reasons.NOT_PROVISIONED, message };
  }
  if (daemonStatus !== "RUNNING") {
    const message =
      `agent ${name} is ${daemonStatus}: it does not report to the Controller; look at the device`;
    return { fields, message, trouble: { status: "False", reason: reasons.NOT_RUNNING, message } };
  }
  return { fields, message: `agent ${name} is running` };
}

export function applicationAccount(context: StatusContext): Account {
  const name = childOf(context, APPLICATION)?.name ?? "";
  const found = foundIn(context, APPLICATION, name);
  if (found === undefined) return { fields: {}, message: "" };
  const microservices = context.desired.children
    .filter((child) => child.type === "external" && child.kind === MICROSERVICE)
    .map((child) => (child as ExternalChild).name)
    .map((each) => ({ name: each.slice(name.length + 1), object: foundIn(context, MICROSERVICE, each) }));
  const running = microservices.filter(({ object }) => object?.fields["status"] === "RUNNING").length;
  const isActivated = found.fields["isActivated"] === true;
  return {
    fields: {
      isActivated,
      running: `${running}/${microservices.length}`,
      microservices: microservices.map(({ name, object }) => ({
        name,
        ...told({ agent: object?.fields["agentName"], status: object?.fields["status"] }),
      })),
    },
    trouble: isActivated ? troubleOfMicroservices(microservices) : undefined,
    message: isActivated ? "every microservice runs" : "the application is not activated",
  };
}

export function microserviceAccount(context: StatusContext): Account {
  const name = childOf(context, MICROSERVICE)?.name ?? "";
  const object = foundIn(context, MICROSERVICE, name);
  if (object === undefined) return { fields: {}, message: "" };
  const { agentName, catalogItemId, errorMessage, images, status } = object.fields;
  const agent = foundIn(context, AGENT, `${agentName}`);
  const image = (images as readonly Image[]).find(({ fogTypeId }) => fogTypeId === agent?.fields["fogType"]);
  const application = foundIn(context, APPLICATION, name.slice(0, name.indexOf("/")));
  return {
    fields: told({
      uuid: object.id,
      status,
      agent: agentName,
      image: image?.containerImage ?? (catalogItemId ? `catalogue item ${catalogItemId}` : undefined),
      errorMessage,
    }),
    trouble: application?.fields["isActivated"] === true
      ? troubleOfMicroservices([{ name, object }])
      : undefined,
    message: application?.fields["isActivated"] === true
      ? "the microservice runs"
      : "the microservice is in the Controller; its application is not activated",
  };
}

export function routeAccount(context: StatusContext): Account {
  const route = childOf(context, ROUTE)?.name;
  return { fields: told({ route }), message: `route ${route} is in the Controller` };
}

/** More agents than these make a line of `kubectl get` too long. */
const mostNamed = 3;

export function edgeResourceAccount(context: StatusContext): Account {
  const name = childOf(context, EDGE_RESOURCE)?.name ?? "";
  const found = foundIn(context, EDGE_RESOURCE, name);
  if (found === undefined) return { fields: {}, message: "" };
  const linked = found.fields["linked"] as readonly string[];
  return {
    fields: told({
      version: name.split("/").at(-1),
      linked,
      linkedTo: linked.length > mostNamed ? `${linked.length} agents` : linked.join(", ") || undefined,
      written: found.fields["written"],
    }),
    message: `edge resource ${name} is in the Controller`,
  };
}
