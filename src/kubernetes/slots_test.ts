import { assertEquals, assertRejects } from "@std/assert";
import { Slots } from "./slots.ts";
import { settle } from "../../tests/virtual_clock.ts";

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

Deno.test("shrink() halves the slots, down to one, and grow() brings them back one by one", async () => {
  const slots = new Slots(8);
  slots.shrink();
  assertEquals(slots.limit, 4);
  for (let time = 0; time < 5; time++) slots.shrink();
  assertEquals(slots.limit, 1);
  let used = 0;
  while (slots.limit < 8) {
    slots.grow();
    used++;
  }
  // About 1 + 2 + ... + 7.
  assertEquals(used > 20 && used < 40, true, `${used}`);
  for (let time = 0; time < 100; time++) slots.grow();
  assertEquals(slots.limit, 8);

  const gives = await Promise.all(Array.from({ length: 8 }, () => slots.take(never)));
  slots.shrink();
  let entered = false;
  const late = slots.take(never).then((give) => {
    entered = true;
    return give;
  });
  for (const give of gives.slice(0, 4)) give();
  await settle();
  assertEquals(entered, false, "four are still under way");
  gives[4]?.();
  await settle();
  assertEquals(entered, true);
  (await late)();
});
