import type { MakeEngine, Pair } from './pair.ts';

/** A way by which a person would copy a database of this product, with its own programs. */
export interface ByHand {
  readonly name: string;
  /** Copies the source into a new folder, and removes it again. @returns the time of the copying alone, in ms */
  readonly copy: (pair: Pair, signal: AbortSignal) => Promise<number>;
}

/** What the benchmark needs of one product. */
export interface Subject {
  readonly name: string;
  readonly make: MakeEngine;
  /** Fills the source with about so much. */
  readonly fill: (pair: Pair, bytes: number) => Promise<void>;
  readonly byHand: readonly ByHand[];
}
