/**
 * RSA keys from a small stock: making one takes a fifth of a second, and a thousand control planes are made here.
 * Certificates still have serial numbers of their own, so one that was made anew is told from the one before.
 */

const SIZE = 4;

/** Has `crypto.subtle.generateKey` hand out the same few RSA keys in turn, in this process. */
export function stockRsaKeys(): void {
  const generate = crypto.subtle.generateKey.bind(crypto.subtle) as (
    ...args: readonly unknown[]
  ) => Promise<CryptoKeyPair>;
  const stock: Promise<CryptoKeyPair>[] = [];
  let next = 0;
  const fromStock = (algorithm: { readonly modulusLength?: number }, ...rest: readonly unknown[]) => {
    if (algorithm.modulusLength === undefined) return generate(algorithm, ...rest);
    const at = next++ % SIZE;
    return stock[at] ??= generate(algorithm, ...rest);
  };
  Object.defineProperty(crypto.subtle, "generateKey", { value: fromStock, configurable: true });
}
