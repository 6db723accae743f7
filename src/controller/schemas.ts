/**
 * The Controller's answers, checked where they come in. Unknown properties are dropped, missing ones are an error.
 *
 * Source: the sources of Controller 3.0.4, checked against a running 3.0.4.
 */

import { z } from "zod";

/** `GET /status`; needs no login. */
export const statusSchema = z.object({
  /** `online`, or `offline` while the Controller's own process file is missing. */
  status: z.string(),
  /** Milliseconds since the epoch, on the Controller's clock. */
  timestamp: z.number(),
  /** Seconds since its start. */
  uptimeSec: z.number(),
  versions: z.object({
    /** E.g. `3.0.4`; decides the dialect. */
    controller: z.string(),
    ecnViewer: z.string().optional(),
  }),
});
export type ControllerStatus = z.infer<typeof statusSchema>;

/** `POST /user/signup`. */
export const signUpSchema = z.object({ userId: z.number(), email: z.string(), emailActivated: z.boolean() });
export type SignedUp = z.infer<typeof signUpSchema>;

/** `POST /user/login`. */
export const loginSchema = z.object({ accessToken: z.string().min(1) });

/** `GET /user/profile`. */
export const profileSchema = z.object({ firstName: z.string(), lastName: z.string(), email: z.string() });
export type Profile = z.infer<typeof profileSchema>;

/** `GET /router`. Null only where something else than `PUT /router` wrote the row. */
export const routerSchema = z.object({
  host: z.string().nullable(),
  messagingPort: z.number().nullable(),
  edgeRouterPort: z.number().nullable(),
  interRouterPort: z.number().nullable(),
});
export type DefaultRouter = z.infer<typeof routerSchema>;

/** `GET /config/:key`. */
export const configSchema = z.object({ key: z.string(), value: z.string() });
