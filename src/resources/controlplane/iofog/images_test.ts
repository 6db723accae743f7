import { assertEquals } from "@std/assert";
import { isImage } from "../images.ts";
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

Deno.test("isImage() takes what a container runtime can read, and nothing else", () => {
  const good = [
    "router",
    "iofog/router:3.0.0",
    "localhost/router",
    "registry:5000/router",
    "registry.example.com:5000/iofog/the_router-1/x:v1.0_a@sha256:0123456789abcdef0123456789abcdef",
    "[2001:db8::1]:5000/router:1",
    "Registry/router",
  ];
  assertEquals(good.filter((reference) => !isImage(reference)), []);
  const bad = [
    "",
    " ",
    " router",
    "router ",
    "a b",
    "Router",
    "iofog/Router:1",
    "https://registry.example.com/router",
    "router:",
    "router:ä",
    "röuter",
    "-x-",
    "a//b",
    "x\ny",
    "router\n",
    `router:${"1".repeat(129)}`,
    "a".repeat(513),
    "router@sha256:0123",
  ];
  assertEquals(bad.filter(isImage), []);
});
