/**
 * A NetworkPolicy that lets through what a component needs, and nothing else: docs/network-policies.md.
 *
 * Agents, people and load balancers come from anywhere, so ports are open to everybody; what a component may reach is
 * told by port, and by address where one is known.
 */

import type { Child } from "../../operator/definition.ts";
import {
  NetworkPolicy,
  type NetworkPolicyEgressRule,
  type NetworkPolicyPeer,
  type NetworkPolicyPort,
} from "../../kubernetes/generated/networking_v1.ts";
import { applied } from "../child.ts";
import * as component from "./component.ts";
import { type Database, isSqlite } from "./fields.ts";

/** Where API servers listen: policies see the address behind Service `kubernetes`, whose port is not known here. */
const API_SERVER_PORTS = [443, 6443, 8443];

/** The policy `name` of the pods with `selector`: `open` are their ports, `egress` is what they may reach. */
export function networkPolicy(
  inputs: component.Surroundings,
  name: string,
  { labels, selector }: { readonly selector: component.Labels; readonly labels?: component.Labels },
  open: readonly number[],
  egress: readonly NetworkPolicyEgressRule[],
): Child {
  return applied(NetworkPolicy, component.metaOf(inputs, name, labels), {
    spec: {
      podSelector: { matchLabels: { ...selector } },
      policyTypes: ["Ingress", "Egress"],
      ...(open.length > 0 && { ingress: [{ ports: open.map(tcp) }] }),
      egress: [toNameServers, ...egress],
    },
  });
}

const toNameServers: NetworkPolicyEgressRule = {
  ports: [{ protocol: "UDP", port: 53 }, { protocol: "TCP", port: 53 }],
};
export const toApiServer = to(API_SERVER_PORTS);

/** To these ports, of `peers` or of anybody. */
export function to(ports: readonly number[], peers?: NetworkPolicyPeer[]): NetworkPolicyEgressRule {
  return { ...(peers !== undefined && { to: peers }), ports: ports.map(tcp) };
}

/** To an external database. */
export function toDatabase(database: Database): NetworkPolicyEgressRule[] {
  if (isSqlite(database) || database.host === undefined || database.port === undefined) return [];
  return [to([database.port], peersAt(database.host))];
}

/** To where a URL leads. */
export function toUrl(text: string | undefined): NetworkPolicyEgressRule[] {
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
