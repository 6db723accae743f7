import { assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { allCrds } from "../src/resources/all_crds.ts";
import { controlPlaneCrd } from "../src/resources/crd.ts";
import { generatedFiles, staleFiles } from "./crds.ts";

Deno.test("crds/, docs/reference.md, docs/reasons.md and the copies in the chart are as the schemas and deploy/base say", async () => {
  assertEquals(await staleFiles(new URL("../", import.meta.url)), []);
});

Deno.test("generatedFiles() is the same each time, and its YAML reads back as the CRD", () => {
  const files = generatedFiles();
  assertEquals([...generatedFiles()], [...files]);
  assertEquals(parse(files.get("crds/controlplanes.iofog.org.yaml") ?? ""), controlPlaneCrd());
});

Deno.test("staleFiles() names a file that is missing and one that was edited", async () => {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(`${root}/docs`);
  await Deno.writeTextFile(`${root}/docs/reference.md`, "edited");
  await Deno.mkdir(`${root}/deploy/base`, { recursive: true });
  await Deno.writeTextFile(`${root}/deploy/base/role.yaml`, "of the base");
  await Deno.mkdir(`${root}/deploy/overlays/pot`, { recursive: true });
  await Deno.writeTextFile(`${root}/deploy/overlays/pot/role.yaml`, "of the overlay");
  assertEquals(await staleFiles(new URL(`file://${root}/`)), [
    ...(["iofog", "pot"] as const).flatMap((flavour) =>
      allCrds(flavour).flatMap(({ crd }) => [
        `${flavour === "pot" ? "crds/pot" : "crds"}/${crd.metadata.name}.yaml`,
        `deploy/helm/iofog-operator/charts/${flavour}/crds/${crd.metadata.name}.yaml`,
      ])
    ),
    "docs/reference.md",
    "docs/reasons.md",
    "deploy/helm/iofog-operator/files/role.yaml",
    "deploy/helm/iofog-operator/files/role_pot.yaml",
    "deploy/helm/iofog-operator/files/alerts.yaml",
  ]);
  await Deno.remove(root, { recursive: true });
});
