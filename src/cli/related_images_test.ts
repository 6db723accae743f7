import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../kubernetes/connection_config.ts";
import { readRelatedImages } from "./related_images.ts";

const read = (variables: Readonly<Record<string, string>>) => readRelatedImages((name) => variables[name]);

Deno.test("readRelatedImages() takes images by tag and by digest, and leaves out what is not set", () => {
  const digest = `registry.example.com:5000/iofog/router@sha256:${"0123456789abcdef".repeat(4)}`;
  assertEquals(
    read({
      RELATED_IMAGE_CONTROLLER: "registry.example.com/iofog/controller:3.0.4",
      RELATED_IMAGE_ROUTER: digest,
      RELATED_IMAGE_PROXY: "",
      RELATED_IMAGE_POT_NATS: "registry.example.com/nats:2.12.4",
    }),
    {
      iofog: { controller: "registry.example.com/iofog/controller:3.0.4", router: digest },
      pot: { nats: "registry.example.com/nats:2.12.4" },
    },
  );
  assertEquals(read({}), { iofog: {}, pot: {} });
});

Deno.test("readRelatedImages() refuses what is no image, and says what to set", () => {
  for (const value of ["https://registry.example.com/x:1", "Registry/X:1", "a b", "x@sha256:123", "x:"]) {
    assertThrows(
      () => read({ RELATED_IMAGE_PORT_MANAGER: value }),
      ConfigError,
      `RELATED_IMAGE_PORT_MANAGER is ${JSON.stringify(value)}, which is no image: set it to one such as`,
    );
  }
});
