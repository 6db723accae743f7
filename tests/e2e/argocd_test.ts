/** What Argo CD makes of `deploy/argocd`: its health check, and that a synced Application stays in sync. */

import { assertEquals, assertMatch } from "@std/assert";
import { parse, stringify } from "@std/yaml";
import fengari from "fengari";
import { playOperatorPods } from "./deployed_operator.ts";
import { cluster, type ControlPlaneObject, type Json, merged, scenario } from "./harness.ts";
import { clientsOf } from "./tools.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const read = async (path: string) => parse(await Deno.readTextFile(`${ROOT}deploy/argocd/${path}`));

const { data: customizations } = await read("argocd_cm.yaml") as { data: Record<string, string> };
const healthCheck = customizations["resource.customizations.health.iofog.org_ControlPlane"] ?? "";
assertEquals(customizations["resource.customizations.health.datasance.com_ControlPlane"], healthCheck);

interface Health {
  readonly status: string;
  readonly message: string;
}

/** Runs the check as Argo CD does: the object is the global \`obj\`, and the answer is the table that it returns. */
function healthOf(object: unknown): Health {
  const { lua, lauxlib, lualib, to_luastring: text, to_jsstring: string } = fengari;
  const state = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(state);
  const push = (value: unknown): void => {
    if (Array.isArray(value)) {
      lua.lua_newtable(state);
      value.forEach((each, index) => {
        push(each);
        lua.lua_rawseti(state, -2, index + 1);
      });
    } else if (typeof value === "object" && value !== null) {
      lua.lua_newtable(state);
      for (const [key, each] of Object.entries(value)) {
        push(each);
        lua.lua_setfield(state, -2, text(key));
      }
    } else if (typeof value === "string") lua.lua_pushstring(state, text(value));
    else if (typeof value === "number") lua.lua_pushnumber(state, value);
    else if (typeof value === "boolean") lua.lua_pushboolean(state, value);
    else lua.lua_pushnil(state);
  };
  push(object);
  lua.lua_setglobal(state, text("obj"));
  if (lauxlib.luaL_dostring(state, text(healthCheck))) {
    throw new Error(string(lua.lua_tostring(state, -1)));
  }
  const field = (name: string) => {
    lua.lua_getfield(state, 1, text(name));
    return string(lua.lua_tostring(state, -1));
  };
  return { status: field("status"), message: field("message") };
}

scenario(
  "an Application of Argo CD becomes healthy, stays in sync, and says what is wrong",
  async (scene) => {
    const { kubectl, helm } = await clientsOf(cluster);
    const { spec: { source, syncPolicy } } = await read("application.yaml") as {
      spec: { source: { path: string; helm: { valuesObject: Json } }; syncPolicy: { syncOptions: string[] } };
    };
    // As Argo CD renders and applies: helm's templates, and then server-side apply.
    assertEquals(syncPolicy.syncOptions.includes("ServerSideApply=true"), true);
    const values = `${cluster.dir}/${scene.namespace}.values.yaml`;
    await Deno.writeTextFile(values, stringify(source.helm.valuesObject));
    const manifests = `${cluster.dir}/${scene.namespace}.yaml`;
    const inNamespace = ["--namespace", scene.namespace];
    await Deno.writeTextFile(
      manifests,
      await helm("template", "iofog", `${ROOT}${source.path}`, ...inNamespace, "--values", values),
    );
    await kubectl(
      ...["create", "secret", "generic", "iofog-user", `--from-literal=password=${scene.password}`],
      ...inNamespace,
    );
    const manager = "--field-manager=argocd-controller";
    await kubectl("apply", "--server-side", manager, "--filename", manifests);
    const created = await scene.controlPlane();
    assertEquals(healthOf(created), { status: "Progressing", message: "no operator has looked at it yet" });

    await using _operators = playOperatorPods(scene);
    const ready = await scene.untilReady({ withinMs: 60_000 });
    assertEquals(healthOf(ready).status, "Healthy");
    // It exits with 1 when there is a difference.
    assertEquals(await kubectl("diff", "--server-side", manager, "--filename", manifests), "");

    const newer = merged(ready as unknown as Json, { metadata: { generation: 99 } });
    assertEquals(healthOf(newer).status, "Progressing");
    const changed = await scene.change({ user: { email: "another@example.com" } });
    const stalled = await scene.until(
      "the refused change to be told",
      (object: ControlPlaneObject) =>
        object.status?.conditions?.some(({ type, status, observedGeneration }) =>
          type === "Stalled" && status === "True" && observedGeneration === changed.metadata.generation
        ) ?? false,
      { withinMs: 60_000 },
    );
    const health = healthOf(stalled);
    assertEquals(health.status, "Degraded");
    assertMatch(health.message, /email/);
    const paused = { type: "Paused", status: "True", message: "2 writes wait" };
    assertEquals(
      healthOf(merged(stalled as unknown as Json, { status: { conditions: [paused] } })),
      { status: "Suspended", message: "2 writes wait" },
    );
  },
);
