import type { RunResult } from '../../run/one.ts';

/** What one run of one fault showed, whoever kept the database available. */
export interface Measured {
  /** Null: the run could not be carried through. */
  readonly outageMs: number | null;
  readonly acked: number;
  /** Null: the nodes could not be compared. */
  readonly lost: number | null;
  /** Refused or never tried, and there. */
  readonly resurrected: number | null;
  readonly unknown: number;
  readonly dualAck: number;
  readonly problems: readonly string[];
}

export function measuredOf({ outage, acked, unknown, dualAck, contents, problems }: RunResult): Measured {
  const isCompared = contents.compared === 'all-nodes';
  return {
    outageMs: outage.outageMs,
    acked,
    lost: isCompared ? contents.lost : null,
    resurrected: isCompared ? contents.resurrected + contents.unexpected : null,
    unknown,
    dualAck,
    problems,
  };
}

/** A run that could not be carried through. */
export const failed = (why: string): Measured => ({
  outageMs: null,
  acked: 0,
  lost: null,
  resurrected: null,
  unknown: 0,
  dualAck: 0,
  problems: [why],
});
