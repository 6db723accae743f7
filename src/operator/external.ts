/**
 * The seam between the engine and an external system, such as the ioFog Controller's REST API.
 *
 * The engine plans for external objects as it does for Kubernetes objects; a backend only reads them and carries out
 * single writes. It has a lane of its own: a system that takes 30 s to answer never delays a repair in Kubernetes.
 */

import type { ExternalChild, ExternalObject, ExternalState, Parent, Snapshot } from "./definition.ts";
import type { ExternalWrite } from "./write.ts";

/** Reads and writes the objects of one kind of custom resource in its external system. */
export interface ExternalBackend {
  /**
   * What exists, on behalf of `parent`. Never throws: what cannot be reached is a state.
   *
   * @param children What is desired, and what is recorded for the parent besides: which kinds to look for, and the
   *   credentials to look with.
   */
  observe(
    parent: Parent,
    children: readonly ExternalChild[],
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<ExternalState>;
  /**
   * What exists of `wanted`, on behalf of custom resources that are gone; undefined while it cannot be said, or where
   * `marker` is not planted. Without it, nothing is deleted for them.
   */
  find?(
    wanted: readonly { readonly kind: string; readonly name: string }[],
    marker: string,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<readonly ExternalObject[] | undefined>;
  /**
   * @param parent Undefined for what belonged to a custom resource that is gone.
   * @throws ExternalError
   */
  write(
    parent: Parent | undefined,
    write: ExternalWrite,
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<void>;
}

/** A write to the external system failed. */
export class ExternalError extends Error {
  override readonly name = "ExternalError";
  /** CamelCase, for a condition. */
  readonly reason: string;
  /** Whether the same write may succeed later without anybody changing anything. */
  readonly retryable: boolean;

  /** @param message What failed, on which object, and what to do; never a secret. */
  constructor(message: string, init: { reason: string; retryable: boolean; cause?: unknown }) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.reason = init.reason;
    this.retryable = init.retryable;
  }
}
