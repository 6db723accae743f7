/**
 * Images that replace the default ones at a site, such as one without a way out: from the environment, under the names
 * that OLM gives to what an operator deploys.
 */

import { ConfigError } from "../kubernetes/connection_config.ts";
import { isImage } from "../resources/controlplane/images.ts";
import type { SiteImages } from "../resources/controlplane/iofog/images.ts";
import type { SiteImages as PotSiteImages } from "../resources/controlplane/pot/images.ts";

/** Variable, the image that it replaces, and what the help says of it. */
export const relatedImages = [
  {
    variable: "RELATED_IMAGE_CONTROLLER",
    flavour: "iofog",
    image: "controller",
    text: "image of the Controller",
  },
  { variable: "RELATED_IMAGE_ROUTER", flavour: "iofog", image: "router", text: "image of the router" },
  {
    variable: "RELATED_IMAGE_PORT_MANAGER",
    flavour: "iofog",
    image: "portManager",
    text: "image of the Port Manager",
  },
  { variable: "RELATED_IMAGE_PROXY", flavour: "iofog", image: "proxy", text: "image of the proxies" },
  {
    variable: "RELATED_IMAGE_POT_CONTROLLER",
    flavour: "pot",
    image: "controller",
    text: "image of PoT's Controller",
  },
  { variable: "RELATED_IMAGE_POT_ROUTER", flavour: "pot", image: "router", text: "image of PoT's router" },
  { variable: "RELATED_IMAGE_POT_NATS", flavour: "pot", image: "nats", text: "image of PoT's NATS" },
] as const;

/** The images of a site, for each flavour. */
export interface SiteImagesOf {
  readonly iofog: SiteImages;
  readonly pot: PotSiteImages;
}

/**
 * Reads them; one that is empty counts as not set.
 *
 * @throws ConfigError for what is no image.
 */
export function readRelatedImages(variable: (name: string) => string | undefined): SiteImagesOf {
  const images: Record<string, Record<string, string>> = { iofog: {}, pot: {} };
  for (const { variable: name, flavour, image } of relatedImages) {
    const value = variable(name);
    if (value === undefined || value === "") continue;
    if (!isImage(value)) {
      throw new ConfigError(
        `${name} is ${JSON.stringify(value)}, which is no image: ` +
          "set it to one such as registry.example.com/name:tag or registry.example.com/name@sha256:digest",
      );
    }
    images[flavour] = { ...images[flavour], [image]: value };
  }
  return images as unknown as SiteImagesOf;
}
