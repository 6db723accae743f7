/**
 * NetworkPolicies that let through what the components need, and nothing else: docs/network-policies.md.
 *
 * Agents, people and load balancers come from anywhere, so ports are open to everybody; what a component may reach is
 * told by port, and by address where one is known.
 */

import type { Child } from "../../../operator/definition.ts";
import {
  NetworkPolicy,
  type NetworkPolicyEgressRule,
  type NetworkPolicyPeer,
  type NetworkPolicyPort,
} from "../../../kubernetes/generated/networking_v1.ts";
import { applied } from "../../child.ts";
import * as component from "../component.ts";
import type { Inputs } from "./inputs.ts";
import { CONTROLLER } from "./controller.ts";
import { PORT_MANAGER } from "./port_manager.ts";
import { ROUTER, ROUTER_PORTS } from "./router.ts";
import { CONTROLLER_API_PORT, isSqlite } from "../fields.ts";

/** Where API servers listen: policies see the address behind Service `kubernetes`, whose port is not known here. */
const API_SERVER_PORTS = [443, 6443, 8443];

/** The NetworkPolicies that the spec asks for. */
export function networkPolicies(inputs: Inputs): Child[] {
  const { spec } = inputs;
  if (!spec.networkPolicies.enabled) return [];
  return [
    policy(inputs, CONTROLLER, [CONTROLLER_API_PORT, spec.controller.ecnViewerPort], [
      ...toDatabase(inputs),
      ...toUrl(spec.controller.proxyBrokerUrl),
    ]),
    policy(inputs, ROUTER, ROUTER_PORTS, [toApiServer]),
    policy(inputs, PORT_MANAGER, [], [
      to([CONTROLLER_API_PORT], [{ podSelector: { matchLabels: { name: CONTROLLER } } }]),
      toApiServer,
    ]),
  ];
}

function policy(
  inputs: Inputs,
  name: string,
  open: readonly number[],
  egress: readonly NetworkPolicyEgressRule[],
): Child {
  return applied(NetworkPolicy, component.metaOf(inputs, name), {
    spec: {
      podSelector: { matchLabels: { name } },
      policyTypes: ["Ingress", "Egress"],
      ...(open.length > 0 && { ingress: [{ ports: open.map(tcp) }] }),
      egress: [toNameServers, ...egress],
    },
  });
}

const toNameServers: NetworkPolicyEgressRule = {
  ports: [{ protocol: "UDP", port: 53 }, { protocol: "TCP", port: 53 }],
};
const toApiServer = to(API_SERVER_PORTS);

function to(ports: readonly number[], peers?: NetworkPolicyPeer[]): NetworkPolicyEgressRule {
  return { ...(peers !== undefined && { to: peers }), ports: ports.map(tcp) };
}

function toDatabase({ spec: { database } }: Inputs): NetworkPolicyEgressRule[] {
  if (isSqlite(database) || database.host === undefined || database.port === undefined) return [];
  return [to([database.port], peersAt(database.host))];
}

function toUrl(text: string | undefined): NetworkPolicyEgressRule[] {
  if (text === undefined || !URL.canParse(text)) return [];
  const { hostname, port, protocol } = new URL(text);
  const number = Number(port) || (protocol === "http:" || protocol === "ws:" ? 80 : 443);
  return [to([number], peersAt(hostname.replace(/^\[|\]$/g, "")))];
}

/** The peer at an IP address; anywhere for a name, since policies know no names. */
function peersAt(host: string): NetworkPolicyPeer[] | undefined {
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(host)) return [{ ipBlock: { cidr: `${host}/32` } }];
  return host.includes(":") ? [{ ipBlock: { cidr: `${host}/128` } }] : undefined;
}

function tcp(port: number): NetworkPolicyPort {
  return { protocol: "TCP", port };
}
