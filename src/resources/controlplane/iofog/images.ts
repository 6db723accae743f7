/**
 * The images that run where the spec names none, and the ARM variant of an image.
 */

/** The images of a control plane. */
export interface Images {
  readonly controller: string;
  readonly router: string;
  readonly portManager: string;
  readonly proxy: string;
}

/** Images that replace default ones at one site, as if each spec that leaves them open named them. */
export type SiteImages = Partial<Images>;

/**
 * What iofogctl 3.0 and 3.1 install. The Go operator's own defaults are in a registry that is closed, and are older
 * than the mount path that it uses.
 */
export const defaultImages: Images = {
  controller: "iofog/controller:3.0.1",
  router: "iofog/router:3.0.0",
  portManager: "iofog/port-manager:3.0.0",
  proxy: "iofog/proxy:3.0.0",
};

/**
 * The ARM image of the same release: `-arm` before the tag, e.g. `registry:5000/proxy-arm:3.0.0`. An image without a
 * tag, or with a digest, is returned as it is: a digest names one exact image.
 */
export function armVariant(image: string): string {
  if (image.includes("@")) return image;
  const tag = image.indexOf(":", image.lastIndexOf("/") + 1);
  return tag < 0 ? image : `${image.slice(0, tag)}-arm${image.slice(tag)}`;
}
