/** A place in one server's log: a file, by its number, and an offset in it. Two servers' places have nothing to do with each other. */
export interface LogPosition {
  /** `binlog` of `binlog.000012`. */
  readonly base: string;
  readonly file: number;
  readonly offset: bigint;
}

const pattern = /^(.+)\.(\d{6,10}):(\d{1,20})$/;

/** Reads `binlog.000012:345`; null when the text is something else. */
export function parsePosition(text: string): LogPosition | null {
  const [, base, file, offset] = pattern.exec(text.trim()) ?? [];
  if (base === undefined || file === undefined || offset === undefined) return null;
  return { base, file: Number(file), offset: BigInt(offset) };
}

/** The same from the two columns in which servers say it; null when there is none. */
export const positionOf = (file: string | null | undefined, offset: string | null | undefined): LogPosition | null =>
  parsePosition(`${file ?? ''}:${offset ?? ''}`);

/** The name of its file; numbers have at least six digits. */
export const fileName = ({ base, file }: LogPosition): string => `${base}.${String(file).padStart(6, '0')}`;

export const formatPosition = (position: LogPosition): string => `${fileName(position)}:${position.offset}`;

/** Which of two places of one server's log comes first: -1, 0 or 1; null when the logs have other names, and nothing can be said. */
export function comparePositions(a: LogPosition, b: LogPosition): -1 | 0 | 1 | null {
  if (a.base !== b.base) return null;
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  if (a.offset === b.offset) return 0;
  return a.offset < b.offset ? -1 : 1;
}

export interface LogFile {
  readonly name: string;
  readonly sizeBytes: bigint;
}

/**
 * How many bytes of log lie between two places of one server.
 *
 * @param files the server's list of its log; @returns null when `from` is not before `to`, or a file in between is not in the list.
 */
export function bytesBetween(from: LogPosition, to: LogPosition, files: readonly LogFile[]): bigint | null {
  const order = comparePositions(from, to);
  if (order === null || order > 0) return null;
  if (from.file === to.file) return to.offset - from.offset;
  const sizes = new Map(files.map(({ name, sizeBytes }) => [name, sizeBytes]));
  let bytes = to.offset;
  for (let file = from.file; file < to.file; file += 1) {
    const size = sizes.get(fileName({ ...from, file }));
    if (size === undefined) return null;
    bytes += file === from.file ? size - from.offset : size;
  }
  return bytes < 0n ? null : bytes;
}
