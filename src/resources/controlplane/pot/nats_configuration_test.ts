import { assert, assertEquals } from "@std/assert";
import { registerSecret } from "../../../../tests/secrets.ts";
import { readConfiguration, serverConfiguration, storeSize } from "./nats_configuration.ts";

const wanted = {
  cluster: "pot",
  domain: "123",
  operatorJwt: "eyJoZWFk.eyJib2R5.c2ln-_",
  systemAccount: "ASYSTEM",
  jetStreamKey: registerSecret("bmF0cy1jb25maWd1cmF0aW9uLXRlc3Q="),
  memoryStore: "1G",
  fileStore: "10G",
  servers: 2,
  advertise: "192.0.2.31:7422",
};

/** What the Controller does to the text, from its source: a regular expression, JSON, and routes of ours first. */
function asController(text: string, routes: readonly string[]): string {
  const pattern = /routes:\s*\[[^\]]*\]/;
  const [found = ""] = pattern.exec(text) ?? [];
  const own = (JSON.parse(found.slice(found.indexOf("["))) as string[])
    .filter((route) => route.includes("nats-headless"));
  return text.replace(pattern, `routes: ${JSON.stringify([...own, ...routes])}`);
}

const routesOf = (text: string) => JSON.parse(/routes: (\[[^\]]*\])/.exec(text)?.[1] ?? "") as string[];

Deno.test("serverConfiguration() quotes what could be read as a number, and leaves out an address that is not known", () => {
  const text = serverConfiguration(wanted);
  assert(text.includes('  domain: "123"\n'));
  assert(text.includes('  advertise: "192.0.2.31:7422"\n'));
  assert(!serverConfiguration({ ...wanted, advertise: undefined }).includes("\n  advertise:"));
});

Deno.test("serverConfiguration() and the Controller edit the routes without losing or doubling any", () => {
  const edge = "nats://edge-1.example.com:6222";
  const first = serverConfiguration(wanted);
  assertEquals(routesOf(first), ["nats://nats-0.nats-headless:6222", "nats://nats-1.nats-headless:6222"]);
  const edited = asController(first, [edge]);
  assertEquals(serverConfiguration(wanted, edited), edited, "nothing of ours differs");
  const grown = serverConfiguration({ ...wanted, servers: 3 }, edited);
  assertEquals(routesOf(grown), [
    "nats://nats-0.nats-headless:6222",
    "nats://nats-1.nats-headless:6222",
    "nats://nats-2.nats-headless:6222",
    edge,
  ]);
  const again = asController(grown, [edge, "nats://edge-2:6222"]);
  assertEquals(routesOf(serverConfiguration({ ...wanted, servers: 3 }, again)), routesOf(again));
  const shrunk = serverConfiguration(wanted, again);
  assertEquals(routesOf(shrunk).slice(2), [edge, "nats://edge-2:6222"]);
  assertEquals(
    routesOf(asController(shrunk, [])),
    routesOf(first),
    "the Controller takes its own away again",
  );
});

Deno.test("serverConfiguration() keeps the order of others and reads lists as NATS may have them", () => {
  const swapped = serverConfiguration(wanted)
    .replace(
      /routes: .*/,
      "routes: [\n    nats://nats-1.nats-headless:6222\n    'nats://nats-0.nats-headless:6222'\n  ]",
    );
  assertEquals(serverConfiguration(wanted, swapped), swapped);
  const doubled = swapped.replace("  ]", '    "nats://[fd00::1]:6222", "nats://[fd00::1]:6222"\n  ]');
  const routes = /routes: (\[.*\])\n/.exec(serverConfiguration(wanted, doubled))?.[1] ?? "";
  assertEquals((JSON.parse(routes) as string[]).slice(2), ["nats://[fd00::1]:6222"]);
  assertEquals(routesOf(serverConfiguration(wanted, "no routes at all")).length, 2);
});

Deno.test("serverConfiguration() puts right whatever somebody changed outside of the routes", () => {
  const text = serverConfiguration(wanted);
  assertEquals(serverConfiguration(wanted, text.replace("port: 4222", "port: 4223")), text);
});

Deno.test("readConfiguration() finds what the Controller gave, as the Go operator wrote it too", () => {
  const { operatorJwt, systemAccount } = wanted;
  assertEquals(readConfiguration(serverConfiguration(wanted)), { operatorJwt, systemAccount });
  assertEquals(readConfiguration("operator = \n"), undefined);
});

Deno.test("storeSize() writes sizes as NATS reads them", () => {
  const sizes = ["10Gi", "512Mi", "1G", "2g", "1gb", "10 G", "1.5Gi", "1e9", "100", "many"].map(storeSize);
  assertEquals(sizes, [
    "10G",
    "512M",
    "1G",
    "2G",
    "1G",
    "10G",
    "1610612736",
    "1000000000",
    "100",
    undefined,
  ]);
});
