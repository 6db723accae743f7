/**
 * A bound on how many things are under way at once; the rest wait in order. It becomes smaller when whoever does the
 * work says that it is too much, and grows again slowly, as TCP does.
 */

/** At most `size` slots. */
export class Slots {
  readonly #size: number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;
  /** How many may be taken now; a fraction counts towards the next. */
  #limit: number;

  constructor(size: number) {
    this.#size = size;
    this.#limit = size;
  }

  /** How many may be taken now. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  /**
   * Waits for a slot.
   *
   * @returns A function that gives the slot back; calling it again does nothing.
   * @throws The reason of `signal` when it aborts first.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.limit) this.#taken++;
    else await this.#turn(signal);
    let taken = true;
    return () => {
      if (taken) this.#give();
      taken = false;
    };
  }

  /** It was too much: half as many from now on. */
  shrink(): void {
    this.#limit = Math.max(1, this.#limit / 2);
  }

  /** It was not too much: one more for each time that all slots were used. */
  grow(): void {
    this.#limit = Math.min(this.#size, this.#limit + 1 / this.#limit);
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const proceed = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.delete(proceed);
        reject(signal.reason);
      };
      this.#waiting.add(proceed);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #give(): void {
    this.#taken--;
    for (const next of this.#waiting) {
      if (this.#taken >= this.limit) return;
      this.#waiting.delete(next);
      this.#taken++;
      next();
    }
  }
}
