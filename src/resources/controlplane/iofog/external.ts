/**
 * What a control plane owns in the Controller: its user, and the default router that agents connect to
 * (as ioFog operator 3.2.0 makes them).
 */

import type { Child } from "../../../operator/definition.ts";
import type { Inputs } from "./inputs.ts";
import { decodePassword } from "./password.ts";
import { previousPassword } from "./port_manager.ts";
import { routerEndpoint } from "./router.ts";

/** Kinds of objects in the Controller. */
export const USER = "User";
export const DEFAULT_ROUTER = "DefaultRouter";

/** What the Controller says to the user's password: it tells no more of one. */
export const ACCEPTED = "accepted";
export const REFUSED = "refused";

/** The objects in the Controller; the default router only once its address is known. */
export function externalChildren(inputs: Inputs): Child[] {
  const endpoint = routerEndpoint(inputs.spec, inputs.snapshot);
  return [
    user(inputs),
    ...(endpoint === undefined ? [] : [
      {
        type: "external" as const,
        kind: DEFAULT_ROUTER,
        name: "default-router",
        fields: { ...endpoint },
        singleton: true,
      },
    ]),
  ];
}

function user(inputs: Inputs): Child {
  const { email, name, surname, password } = inputs.spec.user;
  const previous = previousPassword(inputs);
  return {
    type: "external",
    kind: USER,
    name: email,
    fields: { email, firstName: name, lastName: surname, password: ACCEPTED },
    secretsVersion: inputs.passwordVersion,
    secrets: {
      password: decodePassword(password),
      ...(previous !== undefined && { previousPassword: previous }),
    },
    singleton: true,
  };
}
