import { assertEquals } from "@std/assert";
import { isReached, renderTable, type Row } from "./report.ts";

const figures = { count: 20, p50: 300, p95: 410.4 };

Deno.test("isReached() holds the median against a number or the floor", () => {
  const row: Row = { what: "x", unit: "ms", figures };
  assertEquals(isReached(row), undefined);
  assertEquals(isReached({ ...row, aim: { below: 301 } }), true);
  assertEquals(isReached({ ...row, aim: { below: 300 } }), false);
  const floor = { count: 20, p50: 150, p95: 160 };
  assertEquals(isReached({ ...row, floor, aim: { timesFloor: 2 } }), true);
  assertEquals(isReached({ ...row, floor, aim: { timesFloor: 1.9 } }), false);
  assertEquals(isReached({ ...row, aim: { timesFloor: 2 } }), false);
});

Deno.test("renderTable() aligns its columns and marks what is missed", () => {
  const rows: Row[] = [
    { what: "all", unit: "ms", figures, floor: { count: 20, p50: 200, p95: 222 }, aim: { timesFloor: 1 } },
    { what: "memory", unit: "MiB", figures: { count: 1, p50: 80.55, p95: 81 }, aim: { below: 100 } },
  ];
  assertEquals(
    renderTable(rows),
    `|        |  n |      p50 |      p95 | floor p50 | floor p95 | ratio |         aim |        |
|--------|---:|---------:|---------:|----------:|----------:|------:|------------:|-------:|
| all    | 20 |   300 ms |   410 ms |    200 ms |    222 ms |  1.50 | <= 1x floor | MISSED |
| memory |  1 | 80.5 MiB | 81.0 MiB |           |           |       |   < 100 MiB |     ok |
`,
  );
});
