/**
 * How the stream of a copy says that it is whole: in a trailer, which only comes behind the last byte. A stream that ends without it was
 * cut, whatever else it looks like.
 */

import { EngineError } from '@understudy/engine';

export const COPY_PATH = '/understudy/copy';
export const COPY_TRAILER = 'understudy-copy';

const WHOLE = 'whole';

/** @param error why the copy is not whole; null: it is */
export function formatVerdict(error: EngineError | null): string {
  return error === null ? WHOLE : `${error.code} ${encodeURIComponent(error.message.toWellFormed())}`;
}

/** Null for a whole copy, otherwise what its receiver has to fail with. `from` names the source. */
export function parseVerdict(text: string | undefined, from: string): EngineError | null {
  if (text === WHOLE) return null;
  const [, code = '', message = ''] = /^([A-Z_]+) (\S*)$/.exec(text ?? '') ?? [];
  if (code === '') return new EngineError('ENGINE_CLONE_FAILED', `The copy from ${from} ended before it was whole.`);
  return refusalOf(code, decoded(message));
}

/** The failure that an agent's answer tells of. What is not the engine's says that no copy is to be had there: another way is taken. */
export function refusalOf(code: string, message: string): EngineError {
  return new EngineError(EngineError.isCode(code) ? code : 'ENGINE_COPY_UNAVAILABLE', message, { retry: 'safe' });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
