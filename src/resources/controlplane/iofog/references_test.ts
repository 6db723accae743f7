import { assert, assertEquals } from "@std/assert";
import type { KubeObject } from "../../../kubernetes/resource.ts";
import type { Snapshot } from "../../../operator/definition.ts";
import { registerSecret } from "../../../../tests/secrets.ts";
import { controlPlaneDefinition } from "./definition.ts";
import { assess, desired, secretNames } from "./desired.ts";
import { contextOf, externalOf, NAMESPACE, objectOf, parentOf, snapshotOf, user } from "./fixtures.ts";
import { Secret } from "../../../kubernetes/generated/core_v1.ts";

const PASSWORD = registerSecret("Aus-dem-Secret-9");
const { password: _, ...nobody } = user;
const withReference = { ...nobody, passwordSecretRef: { name: "login", key: "pw" } };
const database = {
  provider: "mysql",
  host: "db.example.com",
  port: 3306,
  user: "iofog",
  databaseName: "iofog",
};

/** A Secret as it is read in full; values are text or bytes. */
function full(
  name: string,
  values: Readonly<Record<string, string | Uint8Array>>,
  type = "Opaque",
): KubeObject {
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      (typeof value === "string" ? new TextEncoder().encode(value) : value).toBase64(),
    ]),
  );
  const metadata = { name, namespace: NAMESPACE, uid: `uid-${name}`, resourceVersion: "7" };
  return { apiVersion: "v1", kind: "Secret", metadata, type, data } as KubeObject;
}

function problemsOf(spec: unknown, snapshot: Snapshot) {
  const { children, problems } = desired(contextOf(spec, snapshot));
  assertEquals(children, []);
  return problems.map(({ field, message, reason }) => [field, reason, message]);
}

const written: readonly [what: string, value: string, read: string][] = [
  ["as it is", PASSWORD, PASSWORD],
  ["without the line break that a file ends with", `${PASSWORD}\n`, PASSWORD],
  ["without the line break of Windows", `${PASSWORD}\r\n`, PASSWORD],
  ["with the second line break", `${PASSWORD}\n\n`, `${PASSWORD}\n`],
  ["with blanks around it", ` ${PASSWORD} `, ` ${PASSWORD} `],
  ["never decoded, though it is base64", "cGFzc3dvcmQxMjM0", "cGFzc3dvcmQxMjM0"],
  ["with letters of any script", "Пароль-密码-€", "Пароль-密码-€"],
];

for (const [what, value, read] of written) {
  Deno.test(`a referenced password is taken ${what}`, () => {
    const { children } = desired(
      contextOf({ user: withReference }, snapshotOf([full("login", { pw: value })])),
    );
    assertEquals(externalOf(children, "User").secrets, { password: read });
    const stored = atob(objectOf(children, "Secret controller-credentials").data.password);
    assertEquals(new TextDecoder().decode(Uint8Array.fromBase64(stored)), read);
  });
}

Deno.test("a referenced value wins over the plain one, for user, database and proxy broker", () => {
  const spec = {
    user: { ...user, passwordSecretRef: { name: "login", key: "pw" } },
    database: { ...database, password: "plain", passwordSecretRef: { name: "db", key: "password" } },
    controller: { proxyBrokerToken: "plain", proxyBrokerTokenSecretRef: { name: "broker", key: "token" } },
  };
  const secrets = [
    full("login", { pw: PASSWORD }),
    full("db", { password: "Aus-der-Datenbank\n" }, "kubernetes.io/basic-auth"),
    full("broker", { token: "Vom-Broker" }, "example.com/token"),
  ];
  const { children } = desired(contextOf(spec, snapshotOf(secrets)));
  assertEquals(externalOf(children, "User").secrets, { password: PASSWORD });
  assertEquals(
    atob(objectOf(children, "Secret controller-db-credentials").data.password),
    "Aus-der-Datenbank",
  );
  assertEquals(
    atob(objectOf(children, "Secret controller-s2s-tokens").data["proxy-broker-token"]),
    "Vom-Broker",
  );
});

const login = (values: Record<string, string | Uint8Array>, type?: string) => [full("login", values, type)];
const bad: readonly [what: string, objects: readonly KubeObject[], reason: string, says: string][] = [
  ["a Secret that is not there", [], "SecretNotFound", "names Secret login, which does not exist: create it"],
  [
    "a key that is missing",
    login({ other: PASSWORD }),
    "SecretKeyMissing",
    "names key pw of Secret login, which has no such key",
  ],
  ["an empty key", login({ pw: "" }), "SecretKeyMissing", "is empty there"],
  ["a key with a line break only", login({ pw: "\n" }), "SecretKeyMissing", "is empty there"],
  [
    "a Secret for TLS",
    login({ pw: PASSWORD }, "kubernetes.io/tls"),
    "SecretTypeWrong",
    "which is of type kubernetes.io/tls: use one of type Opaque",
  ],
  [
    "a bootstrap token",
    login({ pw: PASSWORD }, "bootstrap.kubernetes.io/token"),
    "SecretTypeWrong",
    "bootstrap.kubernetes.io/token",
  ],
  [
    "bytes that are no text",
    login({ pw: new Uint8Array([255, 254, 0, 1, 2, 3, 4, 5, 6]) }),
    "SecretValueUnusable",
    "not UTF-8 text",
  ],
  ["text with a zero in it", login({ pw: `${PASSWORD}\0` }), "SecretValueUnusable", "not UTF-8 text"],
  ["a short password", login({ pw: "kurz-7!\n" }), "SecretValueUnusable", "fewer than 8 characters"],
];

for (const [what, objects, reason, says] of bad) {
  Deno.test(`${what} is one problem with its field, and changes nothing`, () => {
    const [problem, ...rest] = problemsOf({ user: withReference }, snapshotOf(objects));
    assertEquals([problem?.[0], problem?.[1], rest], ["spec.user.passwordSecretRef", reason, []]);
    assert(problem?.[2]?.includes(says), problem?.[2]);
    assert(!problem?.[2]?.includes(PASSWORD) && !problem?.[2]?.includes("kurz"));
  });
}

Deno.test("a Secret that cannot be read is not called missing", () => {
  const metadata = { name: "login", namespace: NAMESPACE };
  const partial = snapshotOf([{ apiVersion: "v1", kind: "Secret", metadata }]);
  const denied: Snapshot = {
    ...snapshotOf(),
    kind: () => ({ phase: "failed", message: "secrets is forbidden", denied: true }),
  };
  for (
    const [snapshot, says] of [[partial, "not been read yet"], [denied, "secrets is forbidden"]] as const
  ) {
    const [problem] = problemsOf({ user: withReference }, snapshot);
    assertEquals(problem?.[1], "SecretUnreadable");
    assert(problem?.[2]?.includes(says));
  }
});

Deno.test("a reference of the database is not followed with sqlite", () => {
  const spec = { user, database: { passwordSecretRef: { name: "db", key: "pw" }, provider: "sqlite" } };
  assertEquals(desired(contextOf(spec)).problems, []);
  assert(!secretNames(parentOf(spec)).includes("db"));
});

const refused: readonly [what: string, spec: Record<string, unknown>, field: string, says: string][] = [
  ["no password at all", { user: nobody }, "spec.user.password", "spec.user.passwordSecretRef"],
  [
    "a reference without a key",
    { user: { ...nobody, passwordSecretRef: { name: "a" } } },
    "spec.user.passwordSecretRef.key",
    "required",
  ],
  [
    "a reference without a name",
    { user: { ...nobody, passwordSecretRef: { name: "", key: "k" } } },
    "spec.user.passwordSecretRef.name",
    "required",
  ],
  [
    "a name that no Secret can have",
    { user: { ...nobody, passwordSecretRef: { name: "A b", key: "k" } } },
    "spec.user.passwordSecretRef.name",
    "name of a Secret",
  ],
  [
    "a name of 254 characters",
    { user: { ...nobody, passwordSecretRef: { name: "a".repeat(254), key: "k" } } },
    "spec.user.passwordSecretRef.name",
    "253",
  ],
  [
    "a key that no Secret can have",
    { user: { ...nobody, passwordSecretRef: { name: "a", key: "a/b" } } },
    "spec.user.passwordSecretRef.key",
    "key of a Secret",
  ],
  [
    "a Secret that the operator writes",
    { user: { ...nobody, passwordSecretRef: { name: "controller-credentials", key: "password" } } },
    "spec.user.passwordSecretRef.name",
    "writes itself",
  ],
  [
    "the operator's own authority",
    { user, certificates: { caSecret: { name: "router-ca" } } },
    "spec.certificates.caSecret.name",
    "writes itself",
  ],
  [
    "a reference of text",
    { user, controller: { proxyBrokerTokenSecretRef: "token" } },
    "spec.controller.proxyBrokerTokenSecretRef",
    "must be an object, not text",
  ],
  ["a database without password and reference", { user, database }, "spec.database", "lacks password"],
];

for (const [what, spec, field, says] of refused) {
  Deno.test(`a spec with ${what} is refused`, () => {
    const problem = desired(contextOf(spec)).problems.find((each) => each.field === field);
    assert(problem?.message.includes(says), JSON.stringify(desired(contextOf(spec)).problems));
  });
}

Deno.test("only Secrets that the spec names are read besides the operator's own", () => {
  const own = secretNames(parentOf({ user }));
  assertEquals(own.length, 6);
  const spec = {
    user: withReference,
    images: { pullSecret: "registry" },
    certificates: { caSecret: { name: "ca" }, routerAmqpsSecret: { name: "leaf" } },
  };
  assertEquals(secretNames(parentOf(spec)), [...own, "login", "ca", "leaf", "registry"]);
  assertEquals(secretNames(parentOf({ user: {} })), own);
});

Deno.test("secretsIn() tells the referenced values, and those that log in to a registry", () => {
  const { secretsIn } = controlPlaneDefinition();
  const parents = [parentOf({ user: withReference })];
  const values = { pw: `${PASSWORD}\n`, other: "harmless text" };
  assertEquals(secretsIn(Secret, full("login", values), parents).map((value) => value.trim()), [
    PASSWORD,
    PASSWORD,
  ]);
  assertEquals(secretsIn(Secret, full("another", values), parents), []);
  assertEquals(secretsIn(Secret, full("login", values), []), []);
  const registry = JSON.stringify({
    auths: { "r.example.com": { username: "me", password: "pw-1", auth: "bWU6cHctMQ==" } },
  });
  assertEquals(
    secretsIn(
      Secret,
      full("r", { ".dockerconfigjson": registry }, "kubernetes.io/dockerconfigjson"),
      parents,
    ),
    ["pw-1", "bWU6cHctMQ=="],
  );
});

Deno.test("another version of the referenced Secret has to be proved anew", () => {
  const versionOf = (secret: KubeObject) => {
    const { children } = desired(contextOf({ user: withReference }, snapshotOf([secret])));
    return externalOf(children, "User").secretsVersion;
  };
  const secret = full("login", { pw: PASSWORD });
  const later = { ...secret, metadata: { ...secret.metadata, resourceVersion: "8" } };
  assertEquals([versionOf(secret), versionOf(later)], ["1/uid-login/7", "1/uid-login/8"]);
});

Deno.test("a pull Secret of another type is a warning", () => {
  const warningsOf = (type: string) =>
    assess(contextOf({ user, images: { pullSecret: "r" } }, snapshotOf([full("r", {}, type)]))).warnings
      .map(({ message, reason }) => `${reason} ${message}`);
  assertEquals(warningsOf("kubernetes.io/dockerconfigjson"), []);
  const [warning] = warningsOf("Opaque");
  assert(
    warning?.startsWith("SecretTypeWrong Secret r, named in spec.images.pullSecret, is of type Opaque: name"),
  );
});
