import { assertEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import { assess, desired, facts } from "./desired.ts";
import { contextOf, externalOf, objectOf, secretOf, snapshotOf, user } from "./fixtures.ts";

const OLD = btoa("Old-Pass-1234");
const live = (values: Record<string, string>) => secretOf("controller-credentials", values);

function look(objects: readonly KubeObject[], proved: boolean) {
  const context = contextOf(
    { user },
    snapshotOf(objects, proved ? { [facts.acceptedPassword]: "1" } : {}),
  );
  const { children } = desired(context);
  const { email, password } = objectOf(children, "Secret controller-credentials").data;
  const assessment = assess(context);
  return {
    login: [atob(email), atob(password)],
    secrets: externalOf(children, "User").secrets,
    waiting: assessment.accepted
      ? assessment.waiting.filter(({ component }) => component === "port-manager").map(({ reason }) => reason)
      : undefined,
  };
}

const fromSpec = [user.email, user.password];

const cases: readonly [
  what: string,
  objects: readonly KubeObject[],
  proved: boolean,
  login: readonly string[],
  previous: string | undefined,
][] = [
  ["made from the spec at once", [], false, fromSpec, undefined],
  ["kept while the new password is not proved", [live({ email: user.email, password: OLD })], false, [
    user.email,
    OLD,
  ], "Old-Pass-1234"],
  [
    "changed once the new password is proved",
    [live({ email: user.email, password: OLD })],
    true,
    fromSpec,
    "Old-Pass-1234",
  ],
  [
    "written as the spec has it when both stand for the same",
    [
      live({ email: user.email, password: "Fake-Pass-1234" }),
    ],
    false,
    fromSpec,
    undefined,
  ],
  [
    "kept while another e-mail is not proved",
    [live({ email: "old@example.com", password: user.password })],
    false,
    [
      "old@example.com",
      user.password,
    ],
    undefined,
  ],
  ["made again when it lacks its password", [live({ email: user.email })], false, fromSpec, undefined],
  ["made again when it is empty", [live({})], false, fromSpec, undefined],
];

for (const [what, objects, proved, login, previous] of cases) {
  Deno.test(`Secret controller-credentials is ${what}`, () => {
    const found = look(objects, proved);
    assertEquals(found.login, login);
    assertEquals(found.secrets, {
      password: "Fake-Pass-1234",
      ...(previous !== undefined && { previousPassword: previous }),
    });
    assertEquals(found.waiting, login === fromSpec ? [] : ["PasswordChanging"]);
  });
}

Deno.test("a proof of an earlier generation proves nothing", () => {
  const snapshot = snapshotOf([live({ email: user.email, password: OLD })], {
    [facts.acceptedPassword]: "0",
  });
  const { children } = desired(contextOf({ user }, snapshot));
  assertEquals(atob(objectOf(children, "Secret controller-credentials").data.password), OLD);
});

Deno.test("the Port Manager starts again when its credentials have a new revision", () => {
  const credentials = secretOf(
    "controller-credentials",
    { email: user.email, password: user.password },
    { "iofog.org/revision": "5" },
  );
  const { children } = desired(contextOf({ user }, snapshotOf([credentials])));
  const { metadata } = objectOf(children, "Deployment port-manager").spec.template;
  assertEquals(metadata.annotations, { "iofog.org/revision-controller-credentials": "5" });
});

Deno.test("the Port Manager takes proxy image and proxy addresses from the spec", () => {
  const spec = {
    user,
    images: { proxy: "p:1", portManager: "m:1" },
    ingresses: { httpProxy: { address: "h.example.com" }, tcpProxy: { address: "t.example.com" } },
  };
  const [container] =
    objectOf(desired(contextOf(spec)).children, "Deployment port-manager").spec.template.spec.containers;
  assertEquals(container.image, "m:1");
  const values = container.env.map(({ name, value }: { name: string; value?: string }) => [name, value]);
  assertEquals(Object.fromEntries(values.filter(([, value]: [string, string?]) => value !== undefined)), {
    WATCH_NAMESPACE: "iofog",
    OPERATOR_NAME: "port-manager",
    PROXY_IMAGE: "p:1",
    HTTP_PROXY_ADDRESS: "h.example.com",
    TCP_PROXY_ADDRESS: "t.example.com",
    ROUTER_ADDRESS: "router",
  });
});
