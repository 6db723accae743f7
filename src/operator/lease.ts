/**
 * Keeps at most one operator writing, with the Lease and the timings that client-go's leader election uses, so that
 * the Go operator and this one never write at the same time.
 *
 * Guarantees: `held` turns false by itself when the Lease could not be renewed in time, judged by this process's own
 * monotonic clock, never by comparing clocks of two machines. The process stays and acquires the Lease again. Where
 * the Role does not allow Leases, it works without one, and says so once: the preconditions of each write still keep
 * two writers from undoing each other.
 *
 * States: waiting (another holds it) -> held -> waiting (could not renew) ...; or absent (Leases not allowed).
 */

import type { Clock } from "../clock.ts";
import type { CallOptions, KubernetesClient } from "../kubernetes/client.ts";
import { ApiError, isStatus } from "../kubernetes/errors.ts";
import { Lease } from "../kubernetes/generated/coordination_v1.ts";
import { forbiddenMs } from "./backoff.ts";

/** Seconds after which others may take an unrenewed Lease (client-go: LeaseDuration). */
export const leaseDurationSeconds = 15;
/** Milliseconds without a renewal after which the holder stops writing (client-go: RenewDeadline). */
export const renewDeadlineMs = 10_000;
/** Milliseconds between tries (client-go: RetryPeriod). */
export const retryPeriodMs = 2_000;
/** Milliseconds that giving it back may take in all: the process is ending. */
const releaseDeadlineMs = 2_000;

export interface LeaseOptions {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly namespace: string;
  readonly name: string;
  /** Who we are: unique for this process. */
  readonly identity: string;
  readonly observer: LeaseObserver;
  /** Whether it may be acquired: others come first, so that two processes never hold one each. @default always */
  readonly isItsTurn?: () => boolean;
}

/** Milliseconds between two looks whether it is a Lease's turn. */
const turnMs = 100;

/** What a Lease tells whoever runs it. */
export interface LeaseObserver {
  acquired(name: string): void;
  lost(name: string): void;
  /** Told when it is known who else holds it, once for each holder. */
  heldBy(name: string, holder: string): void;
  /** Told once when the Role does not allow Leases. */
  forbidden(name: string): void;
  /** Told when it cannot be had for another reason that does not pass by itself, once for each. */
  impossible?(name: string, problem: string): void;
}

/** One Lease. */
export class LeaseHolder {
  readonly #options: LeaseOptions;
  #lease: Lease | undefined;
  /** What was last seen of the record, and when: a record that does not change for its duration is dead. */
  #seen: { readonly record: string; readonly at: number } | undefined;
  #renewedAt: number | undefined;
  /** How often in a row it was forbidden; undefined when it was not. */
  #forbidden: number | undefined;
  #holder: string | undefined;
  #announced = false;
  #problem: string | undefined;
  readonly #tried = Promise.withResolvers<void>();

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Whether this process may write. */
  get held(): boolean {
    if (this.forbidden) return true;
    return this.#renewedAt !== undefined &&
      this.#options.clock.monotonic() - this.#renewedAt < renewDeadlineMs;
  }

  /** Whether the Role does not allow Leases. */
  get forbidden(): boolean {
    return this.#forbidden !== undefined;
  }

  /** Who else holds the Lease, as far as is known. */
  get holder(): string | undefined {
    return this.held ? undefined : this.#holder;
  }

  /** Why the Lease cannot be had although nobody holds it, and what to do; undefined when nothing is known. */
  get problem(): string | undefined {
    return this.held ? undefined : this.#problem;
  }

  /** Resolves when it was tried once to have the Lease, or when that has to wait for another one. */
  get tried(): Promise<void> {
    return this.#tried.promise;
  }

  /** Acquires and renews until `signal` aborts; `onChange` is called when `held` has changed. */
  async run(signal: AbortSignal, onChange: () => void): Promise<void> {
    const { clock } = this.#options;
    let held = this.held;
    while (!signal.aborted) {
      if (this.#options.isItsTurn?.() === false && !this.held) {
        this.#tried.resolve();
        await clock.sleep(turnMs, signal);
        continue;
      }
      const renewedAt = this.#renewedAt ?? clock.monotonic();
      const now = await this.attempt(signal);
      this.#tried.resolve();
      // It may have run out while the attempt was under way, and be held again now.
      const lapsed = clock.monotonic() - renewedAt >= renewDeadlineMs;
      if (now !== held || lapsed) onChange();
      held = now;
      const waitMs = this.#forbidden === undefined
        ? retryPeriodMs * (0.9 + 0.2 * clock.random())
        : forbiddenMs(this.#forbidden, clock);
      await clock.sleep(waitMs, signal);
    }
  }

  /** Tries once to acquire or renew; returns whether the Lease is held. */
  async attempt(signal: AbortSignal): Promise<boolean> {
    const { client, clock, name, observer } = this.#options;
    const startedAt = clock.monotonic();
    // Behind hundreds of writes it would come too late, and stop them.
    const call = { signal, deadlineMs: renewDeadlineMs / 2, urgent: true };
    try {
      this.#lease ??= await this.#read(call);
      const stored = this.#lease === undefined
        ? await client.create(Lease, this.#record(undefined), call)
        : this.#mayTake(this.#lease)
        ? await client.replace(Lease, this.#record(this.#lease), call)
        : undefined;
      this.#forbidden = undefined;
      this.#problem = undefined;
      if (stored === undefined) {
        // Somebody else's: read it afresh next time.
        this.#lease = undefined;
      } else {
        this.#lease = stored;
        this.#renewedAt = startedAt;
        this.#holder = undefined;
      }
    } catch (error) {
      this.#lease = undefined;
      if (isStatus(error, 409) && await this.#isTaken(call)) this.#renewedAt = undefined;
      if (isStatus(error, 403) && !error.hasCause("NamespaceTerminating")) {
        if (!this.forbidden) observer.forbidden(name);
        this.#forbidden = (this.#forbidden ?? -1) + 1;
      }
      const problem = problemOf(error, this.#options);
      if (problem !== undefined && problem !== this.#problem) observer.impossible?.(name, problem);
      this.#problem = problem;
    }
    this.#announce();
    return this.held;
  }

  /** Gives the Lease back, so that a successor need not wait for it to run out. */
  async release(): Promise<void> {
    const { client, clock, identity } = this.#options;
    if (this.forbidden || !this.held) return;
    this.#renewedAt = undefined;
    const call = { deadlineMs: releaseDeadlineMs / 2, urgent: true };
    try {
      // A renewal that was cut off by the end of the process may have been stored.
      const lease = this.#lease ?? await this.#read(call);
      if (lease?.spec?.holderIdentity !== identity) return;
      const now = microTime(clock.now());
      await client.replace(Lease, {
        ...lease,
        spec: {
          ...lease.spec,
          holderIdentity: "",
          leaseDurationSeconds: 1,
          renewTime: now,
          acquireTime: now,
        },
      }, call);
    } catch {
      // It runs out by itself.
    }
  }

  async #read(options: CallOptions): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options;
    try {
      return await client.get(Lease, { namespace, name }, options);
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** After a conflict: whether another process holds the Lease now. */
  async #isTaken(call: CallOptions): Promise<boolean> {
    try {
      this.#lease = await this.#read(call);
      return this.#lease !== undefined && this.#lease.spec?.holderIdentity !== this.#options.identity;
    } catch {
      return false;
    }
  }

  #mayTake(lease: Lease): boolean {
    const { clock, identity, observer, name } = this.#options;
    const holder = lease.spec?.holderIdentity ?? "";
    const record = JSON.stringify(lease.spec);
    if (this.#seen?.record !== record) this.#seen = { record, at: clock.monotonic() };
    if (holder === "" || holder === identity) return true;
    const durationMs = (lease.spec?.leaseDurationSeconds ?? leaseDurationSeconds) * 1000;
    if (clock.monotonic() - this.#seen.at >= durationMs) return true;
    if (this.#holder !== holder) observer.heldBy(name, holder);
    this.#holder = holder;
    return false;
  }

  #record(lease: Lease | undefined): Lease {
    const { clock, identity, name, namespace } = this.#options;
    const now = microTime(clock.now());
    const ours = lease?.spec?.holderIdentity === identity;
    return {
      ...lease,
      metadata: { ...lease?.metadata, name, namespace },
      spec: {
        ...lease?.spec,
        holderIdentity: identity,
        leaseDurationSeconds,
        renewTime: now,
        acquireTime: ours ? lease?.spec?.acquireTime ?? now : now,
        leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (lease === undefined || ours ? 0 : 1),
      },
    };
  }

  #announce(): void {
    if (this.forbidden || this.held === this.#announced) return;
    this.#announced = this.held;
    if (this.held) this.#options.observer.acquired(this.name);
    else this.#options.observer.lost(this.name);
  }
}

/** What somebody has to mend; undefined for what passes by itself, and for what every other request meets too. */
function problemOf(error: unknown, { namespace }: LeaseOptions): string | undefined {
  if (!(error instanceof ApiError) || error.retryable || [401, 403, 409].includes(error.status)) {
    return undefined;
  }
  return error.status === 404
    ? `namespace ${namespace} does not exist: create it, or choose another with --namespace`
    : error.message;
}

/** `metav1.MicroTime`. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
