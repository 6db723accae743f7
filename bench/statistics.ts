/** Percentiles of a handful of measurements. */

/** What a table shows of some measurements, in their own unit. */
export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
}

/** Nearest rank: with 20 values, p50 is the tenth and p95 the nineteenth. @throws RangeError without values. */
export function distribution(values: readonly number[]): Distribution {
  return { count: values.length, p50: percentile(values, 0.5), p95: percentile(values, 0.95) };
}

function percentile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("nothing was measured");
  return value;
}
