/** What a client wants done in one go: a simple query, a function call, or a group of requests up to Sync or Flush. */

import { type Classification, EMPTY_STATEMENT } from '@understudy/routing';
import { ByteReader, CLIENT } from '@understudy/wire/postgres';
import type { Prepared } from '../server/server-statements.ts';

export interface Frame {
  readonly type: number;
  readonly bytes: Buffer;
  /** For Parse. */
  readonly prepared?: Prepared;
  readonly class?: Classification;
}

export interface Work {
  readonly kind: 'query' | 'function-call' | 'group';
  frames: Frame[];
  readonly class: Classification;
  readonly bytes: number;
  /** Whether a ReadyForQuery ends it. */
  readonly isWhole: boolean;
}

/** The same work in memory of its own: what it came in may be overwritten. */
export function owned(work: Work): Work {
  return { ...work, frames: ownedFrames(work.frames) };
}

export function ownedFrames(frames: readonly Frame[]): Frame[] {
  return frames.map((frame) => ({ ...frame, bytes: Buffer.from(frame.bytes) }));
}

/** A function call by its number says nothing of what it does. */
export const FUNCTION_CALL: Classification = {
  ...EMPTY_STATEMENT,
  node: 'primary',
  reason: 'function-unknown',
  mayWrite: true,
  knowledge: 'calls-unknown',
  statements: 1,
};

export const queryText = (frame: Buffer): string => frame.toString('utf8', 5, frame.length - 1);

export interface ParsedFrame {
  readonly name: string;
  readonly text: string;
  readonly types: readonly number[];
}

/** @throws WireError `malformed` */
export function readParse(frame: Buffer): ParsedFrame {
  const reader = new ByteReader(frame, 5);
  const [name, text] = [reader.text(), reader.text()];
  const types: number[] = [];
  for (let left = reader.uint16(); left > 0; left--) types.push(reader.uint32());
  reader.done();
  return { name, text, types };
}

/** What Describe and Close are about. @throws WireError `malformed` */
export function readTarget(frame: Buffer): { readonly isStatement: boolean; readonly name: string } {
  const reader = new ByteReader(frame, 5);
  return { isStatement: reader.uint8() === 0x53, name: reader.text() };
}

export const endsGroup = (type: number): boolean => type === CLIENT.sync || type === CLIENT.flush;
