/**
 * Images that replace the default ones at a site, such as one without a way out: from the environment, under the names
 * that OLM gives to what an operator deploys.
 */

import { ConfigError } from "../kubernetes/connection_config.ts";
import { isImage } from "../resources/controlplane/images.ts";
import type { SiteImages } from "../resources/controlplane/iofog/images.ts";

/** Variable, the image that it replaces, and what the help says of it. */
export const relatedImages = [
  { variable: "RELATED_IMAGE_CONTROLLER", image: "controller", text: "image of the Controller" },
  { variable: "RELATED_IMAGE_ROUTER", image: "router", text: "image of the router" },
  { variable: "RELATED_IMAGE_PORT_MANAGER", image: "portManager", text: "image of the Port Manager" },
  { variable: "RELATED_IMAGE_PROXY", image: "proxy", text: "image of the proxies" },
] as const;

/**
 * Reads them; one that is empty counts as not set.
 *
 * @throws ConfigError for what is no image.
 */
export function readRelatedImages(variable: (name: string) => string | undefined): SiteImages {
  const images: { -readonly [Name in keyof SiteImages]: SiteImages[Name] } = {};
  for (const { variable: name, image } of relatedImages) {
    const value = variable(name);
    if (value === undefined || value === "") continue;
    if (!isImage(value)) {
      throw new ConfigError(
        `${name} is ${JSON.stringify(value)}, which is no image: ` +
          "set it to one such as registry.example.com/name:tag or registry.example.com/name@sha256:digest",
      );
    }
    images[image] = value;
  }
  return images;
}
