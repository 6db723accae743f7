/** The NetworkPolicies of an ioFog control plane. */

import type { Child } from "../../../operator/definition.ts";
import { CONTROLLER_API_PORT } from "../fields.ts";
import { networkPolicy, to, toApiServer, toDatabase, toUrl } from "../network_policies.ts";
import { CONTROLLER } from "./controller.ts";
import type { Inputs } from "./inputs.ts";
import { PORT_MANAGER } from "./port_manager.ts";
import { ROUTER, ROUTER_PORTS } from "./router.ts";

/** The NetworkPolicies that the spec asks for. */
export function networkPolicies(inputs: Inputs): Child[] {
  const { spec } = inputs;
  if (!spec.networkPolicies.enabled) return [];
  return [
    networkPolicy(inputs, CONTROLLER, { selector: { name: CONTROLLER } }, [
      CONTROLLER_API_PORT,
      spec.controller.ecnViewerPort,
    ], [
      ...toDatabase(spec.database),
      ...toUrl(spec.controller.proxyBrokerUrl),
    ]),
    networkPolicy(inputs, ROUTER, { selector: { name: ROUTER } }, ROUTER_PORTS, [toApiServer]),
    networkPolicy(inputs, PORT_MANAGER, { selector: { name: PORT_MANAGER } }, [], [
      to([CONTROLLER_API_PORT], [{ podSelector: { matchLabels: { name: CONTROLLER } } }]),
      toApiServer,
    ]),
  ];
}
