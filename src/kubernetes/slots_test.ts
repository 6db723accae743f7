import { assertEquals, assertRejects } from "@std/assert";
import { Slots } from "./slots.ts";
import { settle } from "./testing.ts";

const never = new AbortController().signal;

Deno.test("take() lets in as many as there are slots, the rest in order", async () => {
  const slots = new Slots(2);
  const entered: number[] = [];
  const take = async (id: number) => {
    const give = await slots.take(never);
    entered.push(id);
    return give;
  };
  const [first, , third] = [take(1), take(2), take(3), take(4)];
  await settle();
  assertEquals(entered, [1, 2]);
  const give = await first;
  give();
  give();
  await settle();
  assertEquals(entered, [1, 2, 3]);
  (await third)();
  await settle();
  assertEquals(entered, [1, 2, 3, 4]);
});

Deno.test("take() stops waiting when the signal aborts, and its place is not lost", async () => {
  const slots = new Slots(1);
  const give = await slots.take(never);
  const controller = new AbortController();
  const waiting = slots.take(controller.signal);
  const next = slots.take(never);
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => slots.take(controller.signal), Error, "enough");
  give();
  (await next)();
});
