import { EXIT } from './exit-codes.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A signal that the first Ctrl-C (or SIGTERM, or a closed terminal) aborts, so that a command can end in order. A second one ends
 * the process at once; commands that have something to clean up even then use signals of their own.
 */
export function interruptionOf(): () => AbortSignal {
  let controller: AbortController | null = null;
  return () => {
    if (controller !== null) return controller.signal;
    const fresh = new AbortController();
    controller = fresh;
    for (const name of signals) {
      process.on(name, () => {
        if (fresh.signal.aborted) process.exit(EXIT.interrupted);
        fresh.abort();
      });
    }
    return fresh.signal;
  };
}
