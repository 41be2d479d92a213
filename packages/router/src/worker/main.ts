// A worker process of the router: started by the supervisor, which it hears through its IPC channel, and ends with it.
import { Socket } from 'node:net';
import type { FromWorker, ToWorker } from '../supervisor/messages.ts';
import type { ClusterView } from '../topology/view.ts';
import { Worker } from './worker.ts';

let worker: Worker | null = null;
/** The last one that came: also while the worker is not ready to take it. */
let view: ClusterView | null = null;
const tell = (message: FromWorker): void => {
  if (process.connected) process.send?.(message);
};

process.on('message', (message: ToWorker, handle: unknown) => {
  switch (message.kind) {
    case 'start':
      Worker.start(message.config, message.view, tell).then(
        (started) => {
          worker = started;
          if (view !== null) started.setView(view);
          tell({ kind: 'ready' });
        },
        (error: unknown) => {
          tell({ kind: 'failed', text: error instanceof Error ? error.message : String(error) });
          setTimeout(() => process.exit(1), 100);
        },
      );
      return;
    case 'view':
      view = message.view;
      worker?.setView(view);
      return;
    case 'client':
      if (handle instanceof Socket) worker?.accept(handle, message.wanted);
      return;
    case 'cancel':
      worker?.cancelBy(message.processId, Buffer.from(message.secretHex, 'hex'));
      return;
    case 'report':
      if (worker !== null) tell({ kind: 'report', id: message.id, report: worker.report() });
      return;
    case 'reports':
      worker?.admin.heard(message.id, message.reports);
      return;
    case 'stop':
      worker?.stop();
      process.disconnect();
      return;
  }
});
// Its clients could not be told of a failover any more.
process.on('disconnect', () => {
  worker?.stop();
  setTimeout(() => process.exit(0), 500).unref();
});
// Ctrl-C goes to the whole group; the supervisor says when to stop.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
