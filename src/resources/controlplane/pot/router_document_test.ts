import { assertEquals, assertThrows } from "@std/assert";
import { routerDocument } from "./router_document.ts";

type Entries = [string, Record<string, unknown>][];

const own = JSON.parse(routerDocument("pot", undefined)) as Entries;
const listener: Entries[number] = ["tcpListener", { name: "shop-listener", port: 1024, address: "shop" }];
const connector: Entries[number] = ["tcpConnector", { name: "shop-connector", port: 8080, address: "shop" }];
const read = (stored: Entries) => JSON.parse(routerDocument("pot", JSON.stringify(stored))) as Entries;

Deno.test("routerDocument() leaves a text alone that says all, however it is written", () => {
  const text = `\n${JSON.stringify([connector, ...own.toReversed(), listener])}\n`;
  assertEquals(routerDocument("pot", text), text);
});

Deno.test("routerDocument() puts ours back and keeps what the Controller added, each once", () => {
  const edited = own.filter(([, { name }]) => name !== "amqps")
    .map(([type, attributes]): Entries[number] =>
      attributes["name"] === "iofog-router-edge"
        ? [type, { ...attributes, authenticatePeer: false }]
        : [type, attributes]
    );
  assertEquals(read([...edited, listener, connector, listener]), [...own, listener, connector]);
});

Deno.test("routerDocument() knows entries by type and name: a profile of somebody's is not ours", () => {
  const profile: Entries[number] = ["sslProfile", { name: "shop", certFile: "/x" }];
  const sameName: Entries[number] = ["tcpListener", { name: "amqps", port: 1 }];
  assertEquals(read([...own, profile, sameName]), [...own, profile, sameName]);
});

Deno.test("routerDocument() makes no duplicates when the version in the metadata is another", () => {
  const [[type, router] = ["router", {}], ...rest] = own;
  const older: Entries[number] = [type, {
    ...router,
    metadata: '{"id":"default-router","pot-config":"0.9.0"}',
  }];
  assertEquals(read([older, ...rest, listener]), [...own, listener]);
});

Deno.test("routerDocument() refuses what is no document", () => {
  for (const text of ["{", "{}", '["router"]', '[["router", []]]']) {
    assertThrows(() => routerDocument("pot", text), SyntaxError);
  }
});
