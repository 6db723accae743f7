/** From a microservice as the Controller's API has it to one as a spec has it. Pure. */

import { isRecord } from "../../operator/compare.ts";
import { potContainerFields } from "./world.ts";

type Json = Readonly<Record<string, unknown>>;

/** What of the API has the same name in the container of a spec. */
const containerFields = ["ports", "env", "extraHosts", "rootHostAccess", "logSize", "annotations"];

/**
 * The spec of a microservice that may be written as in the API (`agentName`, lists beside the name), or as in a spec
 * already; what is in neither form is left as it is, for the check of the spec to find.
 */
export function specOfMicroservice(given: unknown): unknown {
  if (!isRecord(given) || given["agent"] !== undefined || given["container"] !== undefined) return given;
  const { agentName, catalogItemId, cmd, images, name, registryId, volumeMappings } = given;
  const { config, schedule, ...container } = pick(given, [
    "config",
    "schedule",
    ...containerFields,
    ...potContainerFields.filter((key) => key !== "schedule"),
  ]);
  const { natsAccess, natsRule } = given;
  const nats = pick({ natsAccess, natsRule }, ["natsAccess", "natsRule"]);
  const natsConfig = given["natsConfig"] ?? (Object.keys(nats).length === 0 ? undefined : nats);
  const { annotations, ...rest } = container;
  return defined({
    name,
    agent: { name: agentName },
    images: defined({
      ...(isSet(catalogItemId) ? { catalogId: catalogItemId } : imagesOf(images)),
      registry: isSet(registryId) ? `${registryId}` : undefined,
    }),
    config,
    schedule,
    natsConfig: isRecord(natsConfig)
      ? pick(natsConfig, ["natsAccess", "natsRule"].filter((key) => isSet(natsConfig[key])))
      : undefined,
    serviceAccount: isSet(given["serviceAccount"]) ? given["serviceAccount"] : undefined,
    container: defined({
      ...rest,
      annotations: typeof annotations === "string" ? JSON.parse(annotations) : annotations,
      commands: cmd,
      volumes: volumeMappings,
    }),
  });
}

function imagesOf(images: unknown): Json {
  const list = Array.isArray(images) ? images.filter(isRecord) : [];
  const of = (type: number) =>
    list.find(({ fogTypeId }) => Number(fogTypeId) === type)?.["containerImage"] ?? undefined;
  return { x86: of(1), arm: of(2) };
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Those of `keys` that have a value. */
function pick(fields: Json, keys: readonly string[]): Json {
  return defined(Object.fromEntries(keys.map((key) => [key, fields[key]])));
}

/** What has a value. */
function defined(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
