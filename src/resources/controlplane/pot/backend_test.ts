/** Connections to Keycloak and the Controller, as the spec changes. */

import { assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../../clock.ts";
import { KeycloakError } from "../../../controller/errors.ts";
import type { KeycloakClient } from "../../../controller/keycloak.ts";
import type { PotControllerClient } from "../../../controller/pot_client.ts";
import { snapshotOf } from "../iofog/fixtures.ts";
import { PotBackend } from "./backend.ts";
import { auth, parentOf } from "./fixtures.ts";

Deno.test("PotBackend connects anew after a spec that it could not connect with", async () => {
  const open = new Set<object>();
  const closing = <T extends object>(members: T): T => {
    const client = { ...members, close: () => void open.delete(client) };
    open.add(client);
    return client;
  };
  const backend = new PotBackend({
    clock: systemClock,
    locate: () => Promise.resolve({ url: "http://controller" }),
    connectKeycloak: () =>
      closing({
        accessToken: () =>
          Promise.reject(new KeycloakError("refused", { status: 401, code: "InvalidClient" })),
      }) as unknown as KeycloakClient,
    connect: ({ keycloak }) => {
      if (isBroken) throw new TypeError("the CA is not usable");
      const client: object = closing({
        status: () =>
          open.has(client) && open.has(keycloak)
            ? Promise.resolve({ versions: { controller: "3.7.3" } })
            : Promise.reject(new Error("the client was closed")),
      });
      return client as PotControllerClient;
    },
  });
  let isBroken = false;
  const look = (changes = {}) =>
    backend.observe(
      parentOf({ auth: { ...auth, ...changes } }),
      [],
      snapshotOf(),
      new AbortController().signal,
    );
  assertEquals((await look()).phase, "observed");
  isBroken = true;
  const broken = await look({ realm: "another" });
  assertEquals(broken.phase, "unreachable");
  assertMatch(broken.message ?? "", /the CA is not usable/);
  assertEquals(open.size, 0, "nothing stays open");
  isBroken = false;
  assertEquals((await look()).phase, "observed");
  backend.close();
  assertEquals(open.size, 0);
});
