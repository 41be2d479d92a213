import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { type Engine, EngineError, type OpenCopy } from '@understudy/engine';

/** What agents do over their API, between engines of this process: a stream ends only when its copy is whole. */
export function openCopyAmong(engines: ReadonlyMap<string, Engine>): OpenCopy {
  return async (from, request, signal) => {
    const engine = engines.get(from.id);
    if (engine?.sendCopy === undefined) throw new EngineError('ENGINE_COPY_UNAVAILABLE', 'no such engine');
    const stream = new PassThrough({ highWaterMark: 1024 * 1024 });
    const gone = new AbortController();
    stream.once('close', () => gone.abort());
    const settled = engine.sendCopy(request, stream, AbortSignal.any([signal, gone.signal])).then(
      () => stream.end(),
      (error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    // A refusal comes before the stream begins.
    await Promise.race([once(stream, 'readable'), settled]);
    if (stream.errored !== null) throw stream.errored;
    return stream;
  };
}
