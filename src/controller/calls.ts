/** What the calls of both dialects have in common: options, the check of an answer, and the endpoints that are the same. */

import { createEdgeCalls, type EdgeCalls } from "./edge.ts";
import { type CallOptions, found, type Requests } from "./requests.ts";
import {
  configSchema,
  type ControllerStatus,
  type DefaultRouter,
  routerSchema,
  statusSchema,
} from "./schemas.ts";
import type { ControllerTransport } from "./transport.ts";

/** The default router as it is written; ports are 1 to 65535. */
export interface RouterAddress {
  readonly host: string;
  readonly messagingPort: number;
  readonly edgeRouterPort: number;
  readonly interRouterPort: number;
}

/** What both dialects offer. */
export interface CommonCalls {
  /** Needs no login. */
  status(options?: CallOptions): Promise<ControllerStatus>;
  /** The default router, undefined until it has been set. */
  router(options?: CallOptions): Promise<DefaultRouter | undefined>;
  /** Creates or replaces it; the Controller would set ports that are left out to its defaults, so none is. */
  setRouter(router: RouterAddress, options?: CallOptions): Promise<void>;
  /** A value of the Controller's key-value store, undefined where the key is not there. */
  config(key: string, options?: CallOptions): Promise<string | undefined>;
  setConfig(key: string, value: string, options?: CallOptions): Promise<void>;
  /** What is kept for the edge. */
  readonly edge: EdgeCalls;
  /** Closes connections; requests under way are aborted. */
  close(): void;
}

export function createCommonCalls(
  requests: Requests,
  transport: ControllerTransport,
): CommonCalls {
  const { bare, read, write } = requests;
  return {
    edge: createEdgeCalls(requests),

    status: (call) => bare(statusSchema, { ...call, method: "GET", route: "/status" }),

    router: (call) => found(read(routerSchema, { ...call, method: "GET", route: "/router" })),

    setRouter: ({ host, messagingPort, edgeRouterPort, interRouterPort }, call) =>
      write({
        ...call,
        method: "PUT",
        route: "/router",
        templated: true,
        bodyJson: { host, messagingPort, edgeRouterPort, interRouterPort },
      }),

    config: async (key, call) => {
      const parameters = { key };
      const entry = await found(
        read(configSchema, { ...call, method: "GET", route: "/config/:key", parameters }),
      );
      return entry?.value;
    },

    setConfig: (key, value, call) =>
      write({ ...call, method: "PUT", route: "/config", templated: true, bodyJson: { key, value } }),

    close: () => transport.close(),
  };
}
