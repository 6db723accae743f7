/** The contract, in order. */

import { agents, provisioning, routers } from "./agents.ts";
import { applications } from "./applications.ts";
import { configuration } from "./configuration.ts";
import { deletion } from "./deletion.ts";
import { microservices, routes } from "./microservices.ts";
import { catalogue, edgeResources, templates } from "./resources.ts";
import type { Chapter } from "./step.ts";

export const chapters: readonly Chapter[] = [
  ...[agents, routers, provisioning, applications, microservices, routes],
  ...[edgeResources, templates, catalogue, configuration, deletion],
];
