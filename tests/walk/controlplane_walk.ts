/** Every field of a ControlPlane that is ready, one by one: see `walk.ts`, and `controlplane_fields.ts` for the table. */

import { ConfigMap } from "../../src/kubernetes/generated/core_v1.ts";
import { inventoryName } from "../../src/resources/controlplane/inventory.ts";
import { parseSpec } from "../../src/resources/controlplane/iofog/schema.ts";
import { scenario } from "../e2e/harness.ts";
import { eventually } from "../e2e/waiting.ts";
import { present } from "../json.ts";
import { bases, fields, makeSecrets, walks } from "./controlplane_fields.ts";
import { walkField, watchAvailability } from "./walk.ts";

/**
 * A test that walks all fields of one base. Each base has a file of its own, so that they run side by side:
 * `deno task walk`, since it takes as long as half of all other tests.
 *
 * @param base A name in `bases`.
 */
export function walkFrom(base: string): void {
  const { changes, prepare } = present(bases[base]);
  scenario(
    `every field of a ready ControlPlane, changed and back, changes just what it should (${base})`,
    async (scene, test) => {
      scene.operateHere((_, proceed) => proceed());
      // A Service that becomes a LoadBalancer again gets the same address.
      const { namespace } = scene;
      for (const [index, name] of ["controller", "router"].entries()) {
        scene.kubelet.cloud.assign({ namespace, name }, { ip: `192.0.2.${index + 1}` });
      }
      // A claim that has its volume grows and cannot go back: `storage_test.ts` shows that.
      scene.kubelet.storage.hold({ namespace });
      await makeSecrets(scene);
      await scene.create(changes);
      await scene.untilReady();
      await eventually(
        "the inventory to be confirmed",
        async () => (await scene.get(ConfigMap, inventoryName)).data?.["entries"] ?? "",
        (entries) => [...entries.matchAll(/"confirmed":true/g)].length === 2,
      );
      await prepare?.(scene);
      await scene.untilReady();
      await using availability = watchAvailability(scene);
      const accepts = (spec: unknown) => "spec" in parseSpec(spec);
      const start = { availability, scene, spec: scene.spec(changes), accepts };
      for (const walk of walks.filter((each) => each.base === base)) {
        const field = present(fields.find(({ name }) => name === walk.field));
        const passed = await test.step(walk.field, () => walkField(start, walk, field));
        // What it left is no place to start from.
        if (!passed) break;
      }
    },
    { clockBehindMs: 60_000 },
  );
}
