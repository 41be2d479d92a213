/**
 * Why a decision was taken, in a code that programs can compare and a sentence that people can read.
 * Every decision carries at least one; `explain` prints them.
 */
export interface Reason {
  readonly code: ReasonCode;
  /** One sentence, with the values seen. */
  readonly text: string;
}

/** Lower-case words with hyphens, stable between versions; `docs/reasons.md` describes each. */
export type ReasonCode = string;
