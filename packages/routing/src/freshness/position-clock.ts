import { contains, type Ms, type Position } from '@understudy/core';

/** The primary held at least `position` at `notBeforeMs`. */
export interface PositionSample {
  /** When the question was *sent* (or, for a stream, the earliest moment at which it can have been read): so staleness is never too small. */
  readonly notBeforeMs: Ms;
  readonly position: Position;
}

/**
 * Times and positions of the primary, oldest first, each within the next. With it the age of what a replica shows is known without
 * writing heartbeats, and on an idle primary too.
 */
export interface PositionClock {
  readonly samples: readonly PositionSample[];
}

const SAMPLES_MAX = 256;

export const EMPTY_CLOCK: PositionClock = { samples: [] };

/** The clock with one more sample; with those dropped that lie on a history which the primary has left. Samples may come late. */
export function addSample(clock: PositionClock, sample: PositionSample): PositionClock {
  const last = clock.samples.at(-1);
  if (last !== undefined && sample.notBeforeMs < last.notBeforeMs) return clock;
  const kept = clock.samples.filter(({ position }) => contains(sample.position, position));
  // An idle primary: the same position again says that nothing is newer until now.
  const before = kept.at(-1);
  const isRepeat = before !== undefined && contains(before.position, sample.position);
  return { samples: thinned([...(isRepeat ? kept.slice(0, -1) : kept), sample]) };
}

/** Every second one of the older half goes: a coarser answer for what lags far behind, and always an older one. */
function thinned(samples: readonly PositionSample[]): readonly PositionSample[] {
  if (samples.length <= SAMPLES_MAX) return samples;
  const half = samples.length / 2;
  return samples.filter((_, index) => index > half || index % 2 === 0);
}

/** How old what `applied` shows can be at most, in ms; null when it is older than every sample, or on another history. */
export function stalenessMs(clock: PositionClock, applied: Position, nowMs: Ms): number | null {
  let low = 0;
  let high = clock.samples.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const sample = clock.samples[middle];
    if (sample !== undefined && contains(applied, sample.position)) low = middle + 1;
    else high = middle;
  }
  const newest = clock.samples[low - 1];
  return newest === undefined ? null : Math.max(0, nowMs - newest.notBeforeMs);
}

/**
 * The position that stands for what a read on the primary has shown, once it is known: the first sample that was taken after the read
 * had ended. Null until then: the session's reads stay on the primary, so nothing has to be captured behind each of them.
 */
export function shownBy(clock: PositionClock, endedMs: Ms): Position | null {
  return clock.samples.find(({ notBeforeMs }) => notBeforeMs >= endedMs)?.position ?? null;
}
