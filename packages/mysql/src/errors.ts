import { EngineError } from '@understudy/engine';

export { engineError, isDiskFull, isReadOnlyDisk } from '@understudy/engine/host';

/** The number of a server's error (1045, …), also through the `EngineError` that carries it; undefined when no server answered. */
export function serverErrorOf(error: unknown): number | undefined {
  const inner = error instanceof EngineError ? error.cause : error;
  if (!(inner instanceof Error) || !('errno' in inner)) return undefined;
  // System errors have negative numbers, and those of the client library begin at 2000.
  const { errno } = inner;
  return typeof errno === 'number' && errno >= 1000 ? errno : undefined;
}
