/** Under which of its two numbers (`server_id`) a server runs. */
export const writers = ['first', 'second'] as const;
export type Writer = (typeof writers)[number];

/**
 * The `server_id` of a server. A server passes over transactions with its own number, as it takes them for its own that went round a ring:
 * also those that it has not any more, after the end of its log was cut off, and then it would lack their rows without a word. So a
 * log that was cut is gone on with under the other number, and takes back what was written under the first one.
 *
 * @param given by the member's options: the first one.
 * @returns null when there is no second one.
 */
export function serverIdOf(given: number, writer: Writer): number | null {
  const other = (given ^ 0x8000_0000) >>> 0;
  if (writer === 'first') return given;
  return other === 0 ? null : other;
}

export const otherWriter = (writer: Writer): Writer => (writer === 'first' ? 'second' : 'first');
