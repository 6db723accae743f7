import { assertEquals, assertRejects } from "@std/assert";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { ApiError } from "../kubernetes/errors.ts";
import type { Resource } from "../kubernetes/resource.ts";
import { controlPlanes, findFlavours, type Flavour } from "./flavours.ts";

type Answer = "served" | "denied" | "absent" | "broken";

/** An API server with these answers, and what it was asked. */
function serverOf(answers: Readonly<Record<Flavour, Answer>>) {
  const asked: string[] = [];
  const answerOf = (group: string) => answers[group === controlPlanes.pot.group ? "pot" : "iofog"];
  const client = {
    discover: (group: string) => {
      asked.push(`discover ${group}`);
      return Promise.resolve(answerOf(group) === "absent" ? undefined : [{ name: "controlplanes" }]);
    },
    list: ({ group }: Resource) => {
      asked.push(`list ${group}`);
      if (answerOf(group) === "served") return Promise.resolve({ items: [] });
      const status = answerOf(group) === "denied" ? 403 : 0;
      return Promise.reject(new ApiError("no", { status, reason: "No" }));
    },
  };
  return { asked, client: client as unknown as KubernetesClient };
}

const never = new AbortController().signal;
const find = (iofog: Answer, pot: Answer) => findFlavours(serverOf({ iofog, pot }).client, "ns", never);

Deno.test("findFlavours() takes what is served and may be listed, in the order of the Leases", async () => {
  assertEquals(await find("served", "absent"), ["iofog"]);
  assertEquals(await find("absent", "served"), ["pot"]);
  assertEquals(await find("served", "served"), ["iofog", "pot"]);
  assertEquals(await find("denied", "served"), ["pot"]);
  assertEquals(await find("absent", "absent"), []);
});

Deno.test("findFlavours() names what is denied only where nothing else is there, so that it can be told", async () => {
  assertEquals(await find("denied", "absent"), ["iofog"]);
  assertEquals(await find("absent", "denied"), ["pot"]);
  await assertRejects(() => find("broken", "served"), ApiError);
});

Deno.test("findFlavours() does not ask for what is not served, nor for what somebody follows", async () => {
  const { asked, client } = serverOf({ iofog: "served", pot: "absent" });
  const known = (flavour: Flavour) => flavour === "iofog" ? { phase: "synced" as const } : undefined;
  assertEquals(await findFlavours(client, "ns", never, known), ["iofog"]);
  assertEquals(asked, ["discover datasance.com"]);
});
