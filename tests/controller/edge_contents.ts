/** What a stand-in holds for the edge, in a form in which two of them can be compared. */

import type { Json } from "../json.ts";
import type { ControllerState } from "./state.ts";

/** What the Controller holds for the edge, without what each run makes anew. */
export function contentsOf(state: ControllerState): unknown {
  const { agents, applications, edgeResources, microservices, routings, agentRouters } = state;
  const ids = new Map<unknown, string>();
  for (const { name, uuid } of [...agents, ...microservices]) ids.set(uuid, `<${name}>`);
  const made = new Set([
    ...[
      "createdAt",
      "updatedAt",
      "changedAt",
      "changes",
      "rebuild",
      "id",
      "routerId",
      "provisioning",
      "interfaceId",
    ],
    ...["applicationId", "microserviceUuid", "uuid", "upstream", "volumeMountLastUpdate"],
  ]);
  const names = new Map(edgeResources.map(({ id, name, version }) => [id, `${name} ${version}`]));
  const shown = JSON.parse(JSON.stringify(
    { agents, applications, edgeResources, microservices, routings, agentRouters },
    (key, value) => {
      if (made.has(key)) return undefined;
      // Neither has an order.
      if (key === "tags" || key === "orchestrationTags") return [...value].sort();
      if (key === "edgeResources") {
        return value.map((each: unknown) => names.get(each as number) ?? each).toSorted((
          one: Json,
          other: Json,
        ) => `${one["name"]} ${one["version"]}` < `${other["name"]} ${other["version"]}` ? -1 : 1);
      }
      return typeof value === "string" ? ids.get(value) ?? value : value;
    },
  ));
  // Nor have those: what was made within one second may have been made in any order.
  for (const [kind, rows] of Object.entries(shown)) shown[kind] = byName(rows as readonly Json[]);
  return shown;
}

/** PoT has microservices of the same names on each agent. */
const byName = (rows: readonly Json[]) =>
  Object.fromEntries(
    rows.map((row) => [
      ["name", "version", "iofogUuid"].map((key) => row[key] ?? "").filter(Boolean).join(" "),
      row,
    ]),
  );

/** Where two of them differ, with both values. */
export function differences(one: unknown, other: unknown, path = ""): readonly string[] {
  if (typeof one === "object" && typeof other === "object" && one !== null && other !== null) {
    const [before, after] = [one as Json, other as Json];
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => differences(before[key], after[key], `${path} ${key}`));
  }
  const shown = (value: unknown) => String(JSON.stringify(value)).slice(0, 80);
  return one === other ? [] : [`${path}: ${shown(one)}, ${shown(other)}`];
}
