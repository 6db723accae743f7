/**
 * Keeps zod from compiling each schema into a function of its own at first use.
 *
 * That pays for a server that parses thousands of bodies; here it would be a tenth of the time until the first write.
 * To be imported before any schema is made.
 */

import * as z from "zod";

z.config({ jitless: true });
