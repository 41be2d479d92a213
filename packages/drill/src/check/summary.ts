/** Least, middle and greatest of some numbers; all 0 when there are none. Of an even count, the middle is the upper one. */
export function spread(values: readonly number[]): {
  readonly min: number;
  readonly p50: number;
  readonly max: number;
} {
  const ordered = values.toSorted((a, b) => a - b);
  const at = (index: number): number => Math.round(ordered[index] ?? 0);
  return { min: at(0), p50: at(Math.floor(ordered.length / 2)), max: at(ordered.length - 1) };
}
