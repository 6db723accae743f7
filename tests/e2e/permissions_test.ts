/** Each permission that is compiled in is needed: without it something fails that works with it. */

import { assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/yaml";
import { relatedImages } from "../../src/cli/related_images.ts";
import { Lease } from "../../src/kubernetes/generated/coordination_v1.ts";
import { operatorPermissions, type Variant } from "../../tools/permissions.ts";
import { cluster, scenario, type Scene } from "./harness.ts";
import { containerPermissions, runProgram, startProgram } from "./operator_process.ts";
import { eventually } from "./waiting.ts";

/** What shows that a permission is needed. */
interface Need {
  readonly variant: Variant;
  /** A flag, or a variable that `--allow-env` names. */
  readonly permission: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What \`status\` says with all permissions, and without this one. */
  readonly works: RegExp;
  readonly fails: RegExp;
}

const empty = /there is no ControlPlane in namespace/;
const nobody = "http://127.0.0.1:1";

function permissionsOf(variant: Variant): readonly string[] {
  return variant === "local" ? operatorPermissions() : containerPermissions(cluster.dir);
}

/** Without a flag, or without a variable in the flag that lists them. */
function without(permissions: readonly string[], permission: string): readonly string[] {
  return permissions
    .filter((flag) => flag.split("=")[0] !== permission)
    .map((flag) => {
      const [name, list = ""] = flag.split("=");
      if (name !== "--allow-env") return flag;
      return `--allow-env=${list.split(",").filter((variable) => variable !== permission).join(",")}`;
    });
}

function needs(scene: Scene, plugin: string): readonly Need[] {
  const { kubeconfigPath } = cluster;
  const kubeconfig = `--kubeconfig=${kubeconfigPath}`;
  const namespace = `--namespace=${scene.namespace}`;
  const args = [kubeconfig, namespace];
  const home = { HOME: `${cluster.dir}/${scene.namespace}` };
  const both = (need: Omit<Need, "variant">): Need[] => [
    { variant: "local", ...need },
    { variant: "container", ...need },
  ];
  const inPod = { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: "1" };
  const noToken = /service account \(is automountServiceAccountToken on\?\): cannot read/;
  return [
    ...both({ permission: "--allow-net", args, works: empty, fails: /net access|NotCapable/ }),
    ...both({ permission: "--allow-read", args, works: empty, fails: /cannot read \S+ \(NotCapable\)/ }),
    {
      variant: "local",
      permission: "--allow-run",
      args: [`--kubeconfig=${plugin}`, namespace],
      works: empty,
      fails: /made to run no other, so not \S+; use a service account or a token/,
    },
    {
      variant: "local",
      permission: "KUBECONFIG",
      args: [namespace],
      env: { KUBECONFIG: kubeconfigPath, HOME: `${home.HOME}/none` },
      works: empty,
      fails: /no kubeconfig: no \S+none/,
    },
    {
      variant: "local",
      permission: "HOME",
      args: [namespace],
      env: home,
      works: empty,
      fails: /no kubeconfig: neither KUBECONFIG nor HOME is set/,
    },
    ...both({
      permission: "KUBERNETES_SERVICE_HOST",
      args: [],
      env: { ...inPod, HOME: `${home.HOME}/none` },
      works: noToken,
      fails: /no kubeconfig/,
    }),
    ...both({
      permission: "KUBERNETES_SERVICE_PORT",
      args: [],
      env: inPod,
      works: noToken,
      fails: /KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set/,
    }),
    ...both({
      permission: "WATCH_NAMESPACE",
      args: [kubeconfig],
      env: { WATCH_NAMESPACE: scene.namespace },
      works: new RegExp(`no ControlPlane in namespace ${scene.namespace}`),
      fails: /no ControlPlane in namespace default/,
    }),
    ...both({
      permission: "CONTROLLER_URL",
      args,
      env: { CONTROLLER_URL: "nowhere" },
      works: /CONTROLLER_URL/,
      fails: empty,
    }),
    ...relatedImages.flatMap(({ variable }) =>
      both({
        permission: variable,
        args,
        env: { [variable]: "no image" },
        works: new RegExp(variable),
        fails: empty,
      })
    ),
    // Only who may read these knows that a loopback API server has to be kept away from the proxy.
    ...["HTTPS_PROXY", "https_proxy"].map((permission): Need => ({
      variant: "local",
      permission,
      args,
      env: { [permission]: nobody, NO_PROXY: "", no_proxy: "" },
      works: empty,
      fails: /cannot use https:\/\/127\.0\.0\.1/,
    })),
    // And what they name already has to stay: the plugin is told the same.
    ...["NO_PROXY", "no_proxy"].map((permission): Need => ({
      variant: "local",
      permission,
      args: [`--kubeconfig=${plugin}`, namespace],
      env: {
        HTTPS_PROXY: nobody,
        NO_PROXY: "",
        [permission]: "keep.example",
        EXPECTED_NO_PROXY: "keep.example,127.0.0.1",
      },
      works: empty,
      fails: /plugin failed; run it by hand to see why/,
    })),
  ];
}

scenario("without any one of its permissions the program does not work as it should", async (scene, test) => {
  const folder = `${cluster.dir}/${scene.namespace}`;
  await Deno.mkdir(`${folder}/.kube`, { recursive: true });
  await Deno.copyFile(cluster.kubeconfigPath, `${folder}/.kube/config`);
  const plugin = await kubeconfigWithPlugin(folder);
  const cases = needs(scene, plugin);
  await test.step("each flag and each variable is among them", () => {
    for (const variant of ["local", "container"] as const) {
      const flags = operatorPermissions(variant);
      const all = flags.flatMap((flag) => {
        const [name = "", list = ""] = flag.split("=");
        return name === "--allow-env" ? list.split(",") : [name];
      });
      // The first two give nothing. POD_NAME and HOSTNAME are shown by the Lease.
      const elsewhere = ["--no-prompt", "--ignore-env", "POD_NAME", "HOSTNAME"];
      const shown = cases.filter((need) => need.variant === variant).map(({ permission }) => permission);
      assertEquals([...shown, ...elsewhere].toSorted(), all.toSorted(), variant);
    }
  });
  const say = async ({ args = [], env = {} }: Need, permissions: readonly string[]) => {
    const { stdout, stderr } = await runProgram({ args: ["status", ...args], env, permissions });
    return `${stdout}${stderr}`;
  };
  // A few at a time, since each starts two processes.
  for (let index = 0; index < cases.length; index += 3) {
    await Promise.all(
      cases.slice(index, index + 3).map(async (need) => {
        const all = permissionsOf(need.variant);
        const label = `${need.variant} ${need.permission}`;
        assertMatch(await say(need, all), need.works, `${label}: with it`);
        const said = await say(need, without(all, need.permission));
        assertMatch(said, need.fails, `${label}: without it`);
      }),
    );
  }
  await test.step("POD_NAME, else HOSTNAME, is the name in the Lease", async () => {
    const env = { POD_NAME: "this-pod", HOSTNAME: "this-host" };
    const expected = [
      [[], /^this-pod_/],
      [["POD_NAME"], /^this-host_/],
      [["POD_NAME", "HOSTNAME"], /^iofog-operator_/],
    ] as const;
    for (const [removed, holder] of expected) {
      const permissions = removed.reduce<readonly string[]>(without, permissionsOf("container"));
      const operator = startProgram({ args: scene.flags(), env, permissions });
      await eventually(
        `a Lease of ${holder}`,
        () => scene.list(Lease),
        (leases) => leases.some(({ spec }) => holder.test(spec?.holderIdentity ?? "")),
      );
      await operator.stop();
    }
  });
  await test.step("the program in the image runs no program, and reads nothing else", async () => {
    const args = [`--kubeconfig=${plugin}`, `--namespace=${scene.namespace}`];
    const permissions = permissionsOf("container");
    const ran = await runProgram({ args: ["status", ...args], permissions });
    assertMatch(ran.stderr, /^iofog-operator: .*made to run no other.*\n$/);
    const read = await runProgram({
      args: ["status", `--kubeconfig=${cluster.kubeconfigPath}`],
      permissions: operatorPermissions("container"),
    });
    assertMatch(read.stderr, /^iofog-operator: .*\(NotCapable\); .* mount it below \/var\/run\/secrets.*\n$/);
  });
});

/** The path of a kubeconfig whose user is what a plugin says. */
async function kubeconfigWithPlugin(folder: string): Promise<string> {
  const credential = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: cluster.adminToken },
  };
  await Deno.writeTextFile(
    `${folder}/plugin`,
    `#!/bin/sh
[ "$NO_PROXY" = "\${EXPECTED_NO_PROXY:-$NO_PROXY}" ] || exit 1
echo '${JSON.stringify(credential)}'
`,
    {
      mode: 0o700,
    },
  );
  const content = parse(await Deno.readTextFile(cluster.kubeconfigPath)) as { users: { user: unknown }[] };
  const exec = { apiVersion: credential.apiVersion, command: "./plugin", interactiveMode: "Never" };
  for (const entry of content.users) entry.user = { exec };
  const path = `${folder}/plugin.kubeconfig`;
  await Deno.writeTextFile(path, JSON.stringify(content), { mode: 0o600 });
  return path;
}
