/** The NetworkPolicies of a PoT control plane. */

import type { Child } from "../../../operator/definition.ts";
import { CONTROLLER_API_PORT } from "../fields.ts";
import { networkPolicy, to, toApiServer, toDatabase, toUrl } from "../network_policies.ts";
import { CONTROLLER } from "./controller.ts";
import { type Inputs, labelsOf } from "./inputs.ts";
import { NATS } from "./nats.ts";
import { natsPorts } from "./nats_configuration.ts";
import { ROUTER, routerLabels } from "./router.ts";
import { EDGE_ROUTER_PORT, INTER_ROUTER_PORT, MESSAGING_PORT } from "./router_document.ts";

/** The NetworkPolicies that the spec asks for. */
export function networkPolicies(inputs: Inputs): Child[] {
  const { auth, controller, database, nats, networkPolicies, vault } = inputs.spec;
  if (!networkPolicies.enabled) return [];
  const of = (component: "controller" | "router" | "nats") => {
    const labels = component === "router" ? routerLabels(inputs) : labelsOf(inputs, component);
    return { selector: labels, labels };
  };
  const pods = (
    component: "router" | "nats",
  ) => [{ podSelector: { matchLabels: { ...of(component).selector } } }];
  return [
    networkPolicy(inputs, CONTROLLER, of(CONTROLLER), [CONTROLLER_API_PORT, controller.ecnViewerPort], [
      ...toDatabase(database),
      ...toUrl(auth.url),
      // Other vaults are reached by HTTPS, wherever they are.
      ...(vault.hashicorp?.address === undefined ? [] : toUrl(vault.hashicorp.address)),
      ...(vault.provider === undefined ? [] : [to([443])]),
      to([MESSAGING_PORT], pods(ROUTER)),
      ...(nats.enabled ? [to([natsPorts.client], pods(NATS))] : []),
      toApiServer,
    ]),
    networkPolicy(inputs, ROUTER, of(ROUTER), [MESSAGING_PORT, INTER_ROUTER_PORT, EDGE_ROUTER_PORT], [
      toApiServer,
    ]),
    ...(nats.enabled
      ? [
        networkPolicy(inputs, NATS, of(NATS), Object.values(natsPorts), [
          to([natsPorts.cluster], pods(NATS)),
          toApiServer,
        ]),
      ]
      : []),
  ];
}
