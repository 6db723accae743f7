import { assertEquals } from "@std/assert";
import { armVariant } from "./images.ts";

const cases: readonly [image: string, variant: string][] = [
  ["iofog/proxy:3.0.0", "iofog/proxy-arm:3.0.0"],
  ["registry:5000/iofog/proxy:3.0.0", "registry:5000/iofog/proxy-arm:3.0.0"],
  ["registry:5000/iofog/proxy", "registry:5000/iofog/proxy"],
  ["proxy", "proxy"],
  ["iofog/proxy@sha256:0123", "iofog/proxy@sha256:0123"],
  ["iofog/proxy:3.0.0@sha256:0123", "iofog/proxy:3.0.0@sha256:0123"],
];

for (const [image, variant] of cases) {
  Deno.test(`armVariant() of ${image} is ${variant}`, () => assertEquals(armVariant(image), variant));
}
