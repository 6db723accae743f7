/**
 * The images that run where the spec of a PoT control plane names none.
 */

/** The images of a control plane. */
export interface Images {
  readonly controller: string;
  readonly router: string;
  readonly nats: string;
}

/** Images that replace default ones at one site, as if each spec that leaves them open named them. */
export type SiteImages = Partial<Images>;

/** What PoT operator 3.7.2 and potctl 1.6.3 install. */
export const defaultImages: Images = {
  controller: "ghcr.io/datasance/controller:3.7.3",
  router: "ghcr.io/datasance/router:3.7.0",
  nats: "ghcr.io/datasance/nats:2.12.4",
};
