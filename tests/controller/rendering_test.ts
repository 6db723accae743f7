import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { escapeLiquid } from "../../src/controller/liquid.ts";
import { renderBody } from "./rendering.ts";

Deno.test("renderBody() gives back every text that escapeLiquid() has escaped", async () => {
  const pieces = fc.constantFrom(
    "{{",
    "{%",
    "}}",
    "%}",
    "{",
    "}",
    "%",
    "raw",
    "endraw",
    " ",
    "-",
    '"',
    "'",
    "|",
    "ä",
    "\\",
  );
  const texts = fc.oneof(fc.string(), fc.array(pieces, { maxLength: 12 }).map((list) => list.join("")));
  await fc.assert(
    fc.asyncProperty(fc.record({ host: texts, list: fc.array(texts) }), async (body) => {
      const sent = escapeLiquid(body);
      await renderBody(sent);
      assertEquals(sent, body);
    }),
    { numRuns: 2000 },
  );
});
