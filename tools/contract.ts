/**
 * `deno task contract --url URL (--email EMAIL --password PASSWORD | --authorization HEADER)`: holds a Controller,
 * 3.0.4 or 3.7.3, to what the operator and the stand-in take for granted. Speaks plain HTTP. Everything that it makes
 * has a name of its own and is deleted again; a default router and a NATS hub are made where there are none, and stay.
 *
 * Ends with 1 where something was answered otherwise.
 */

import { parseArgs } from "@std/cli";
import { holdToContract } from "../tests/contract/conversation.ts";

if (import.meta.main) {
  const names = ["url", "email", "password", "authorization"];
  const { url, email, password, authorization } = parseArgs(Deno.args, { string: names });
  if (url === undefined || (authorization === undefined && (email === undefined || password === undefined))) {
    console.error(
      "usage: deno task contract --url URL (--email EMAIL --password PASSWORD | --authorization HEADER)",
    );
    Deno.exit(2);
  }
  let failed = 0, all = 0, chapter = "";
  for await (const outcome of holdToContract({ url, email, password, authorization })) {
    if (outcome.chapter !== chapter) console.log(chapter = outcome.chapter);
    all++;
    if (outcome.problem === undefined) continue;
    failed++;
    console.log(`  ${outcome.step}\n    ${outcome.problem}`);
  }
  console.log(`${all - failed} of ${all} as expected`);
  Deno.exit(failed === 0 ? 0 : 1);
}
