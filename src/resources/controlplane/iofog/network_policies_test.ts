import { assertEquals } from "@std/assert";
import { desired } from "./desired.ts";
import { childName, contextOf, objectOf, user } from "./fixtures.ts";

const childrenOf = (spec: object) => desired(contextOf({ user, ...spec })).children;
const policiesOf = (spec: object) => {
  const children = childrenOf({ networkPolicies: { enabled: true }, ...spec });
  return (name: string) => objectOf(children, `NetworkPolicy ${name}`).spec;
};
const tcp = (...ports: number[]) => ports.map((port) => ({ protocol: "TCP", port }));
const dns = { ports: [{ protocol: "UDP", port: 53 }, { protocol: "TCP", port: 53 }] };
const apiServer = { ports: tcp(443, 6443, 8443) };

Deno.test("without asking for them there are no policies and no budgets", () => {
  const kinds = new Set(childrenOf({}).map((child) => childName(child).split(" ")[0]));
  assertEquals([kinds.has("NetworkPolicy"), kinds.has("PodDisruptionBudget")], [false, false]);
});

Deno.test("policies let through what each component needs, and nothing else", () => {
  const policy = policiesOf({ controller: { ecnViewerPort: 8080 } });
  const policyTypes = ["Ingress", "Egress"];
  assertEquals(policy("controller"), {
    podSelector: { matchLabels: { name: "controller" } },
    policyTypes,
    ingress: [{ ports: tcp(51121, 8080) }],
    egress: [dns],
  });
  assertEquals(policy("router"), {
    podSelector: { matchLabels: { name: "router" } },
    policyTypes,
    ingress: [{ ports: tcp(5672, 55672, 45672) }],
    egress: [dns, apiServer],
  });
  assertEquals(policy("port-manager"), {
    podSelector: { matchLabels: { name: "port-manager" } },
    policyTypes,
    egress: [
      dns,
      { to: [{ podSelector: { matchLabels: { name: "controller" } } }], ports: tcp(51121) },
      apiServer,
    ],
  });
});

Deno.test("the Controller may reach its database and its proxy broker: at their addresses, where these are known", () => {
  const database = { provider: "mysql", port: 3306, user: "u", password: "Fake-Db-Pass", databaseName: "d" };
  const egressOf = (host: string, proxyBrokerUrl: string) =>
    policiesOf({ database: { ...database, host }, controller: { proxyBrokerUrl } })("controller").egress
      .slice(1);
  const at = (cidr: string) => ({ to: [{ ipBlock: { cidr } }] });
  assertEquals(egressOf("db.example.com", "https://broker.example.com/x"), [{ ports: tcp(3306) }, {
    ports: tcp(443),
  }]);
  assertEquals(egressOf("192.0.2.5", "http://[2001:db8::1]"), [
    { ...at("192.0.2.5/32"), ports: tcp(3306) },
    { ...at("2001:db8::1/128"), ports: tcp(80) },
  ]);
  assertEquals(egressOf("2001:db8::7", "amqps://192.0.2.6:5671"), [
    { ...at("2001:db8::7/128"), ports: tcp(3306) },
    { ...at("192.0.2.6/32"), ports: tcp(5671) },
  ]);
  assertEquals(egressOf("db.example.com", "no url"), [{ ports: tcp(3306) }]);
});

Deno.test("budgets let one pod of each component be evicted at a time", () => {
  const children = childrenOf({ podDisruptionBudgets: { enabled: true } });
  for (const name of ["controller", "router", "port-manager"]) {
    assertEquals(objectOf(children, `PodDisruptionBudget ${name}`).spec, {
      maxUnavailable: 1,
      selector: { matchLabels: { name } },
    });
  }
});
