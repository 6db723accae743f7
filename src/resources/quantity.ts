/**
 * Quantities of Kubernetes, such as `500m`, `1.5Gi` or `1e3`, in the one form in which the API server stores them:
 * another form of the same amount would differ from what is stored for ever.
 */

/** Digits after the point that the API server keeps: finer amounts are rounded up. */
const PRECISION = 9n;
const UNIT = 10n ** PRECISION;

const DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

interface Amount {
  /** In billionths. */
  readonly value: bigint;
  readonly form: "decimal" | "binary" | "exponent";
}

/** Whether `text` is a quantity that is not negative. */
export function isQuantity(text: string): boolean {
  return amountOf(text) !== undefined;
}

/** `text` as the API server stores it, e.g. `1Gi` for `1024Mi`; what is no quantity comes back as it is. */
export function canonicalQuantity(text: string): string {
  const amount = amountOf(text);
  if (amount === undefined) return text;
  const { value, form } = amount;
  if (value === 0n) return "0";
  const whole = value / UNIT;
  if (form === "binary" && whole >= 1024n && value % UNIT === 0n) {
    const [mantissa, steps] = divided(whole, 1024n, BINARY.length - 1);
    return `${mantissa}${BINARY[steps]}`;
  }
  const [mantissa, steps] = divided(value, 1000n, DECIMAL.length - 1);
  const exponent = 3 * steps - Number(PRECISION);
  return form === "exponent"
    ? `${mantissa}${exponent === 0 ? "" : `e${exponent}`}`
    : `${mantissa}${DECIMAL[steps]}`;
}

/** Negative, zero or positive, as `a` is less than, equal to or more than `b`; both must be quantities. */
export function compareQuantities(a: string, b: string): number {
  const [x, y] = [amountOf(a)?.value ?? 0n, amountOf(b)?.value ?? 0n];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** `value` divided by `base` as often as that leaves no rest, and how often that was. */
function divided(value: bigint, base: bigint, mostSteps: number): readonly [bigint, number] {
  let steps = 0;
  while (steps < mostSteps && value % base === 0n) {
    value /= base;
    steps++;
  }
  return [value, steps];
}

function amountOf(text: string): Amount | undefined {
  const match = /^\+?(\d*)(?:\.(\d*))?([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?$/.exec(text);
  if (match === null) return undefined;
  const [, whole = "", fraction = "", suffix = ""] = match;
  if (whole + fraction === "" || text.length > 64) return undefined;
  const digits = BigInt(whole + fraction) * UNIT;
  const point = 10n ** BigInt(fraction.length);
  if (BINARY.indexOf(suffix) > 0) {
    return { value: divideUp(digits * 1024n ** BigInt(BINARY.indexOf(suffix)), point), form: "binary" };
  }
  const isExponent = /^[eE]./.test(suffix);
  const exponent = isExponent ? Number(suffix.slice(1)) : 3 * DECIMAL.indexOf(suffix) - Number(PRECISION);
  const value = exponent < 0
    ? divideUp(digits, point * 10n ** BigInt(-exponent))
    : divideUp(digits * 10n ** BigInt(exponent), point);
  return { value, form: isExponent ? "exponent" : "decimal" };
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

/** Whole bytes (or what else is counted) in a quantity, rounded up. */
export function bytesOf(text: string): bigint {
  return divideUp(amountOf(text)?.value ?? 0n, UNIT);
}
