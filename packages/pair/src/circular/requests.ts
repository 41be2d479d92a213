import type { PairRequest, PairStatus } from '../control/protocol.ts';
import { statusOf } from '../control/status.ts';
import type { Supervisor } from './supervisor.ts';

/** What the process that runs a pair answers. */
export interface Desk {
  status(): PairStatus;
  handle(request: PairRequest): Promise<unknown>;
}

/** Answers requests for a running pair. @param version of its servers. */
export function deskOf(supervisor: Supervisor, version: string): Desk {
  const status = (): PairStatus => statusOf(supervisor, version, noFindings(supervisor));
  return {
    status,
    handle: async (request) => {
      switch (request.op) {
        case 'status':
          return status();
        case 'switch':
          return supervisor.switchActive(request.to, request.timeoutMs);
        case 'writers':
          await supervisor.changeWriters(request.writers, request.timeoutMs);
          return { writers: request.writers };
        default:
          return null;
      }
    },
  };
}

function noFindings({ ledger }: Supervisor) {
  const comparison = { lastPassAt: null, rows: 0, tables: 0, everyS: ledger.file.checkEveryS, remarks: [] };
  return { problems: [], comparison };
}
