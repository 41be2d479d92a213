/** What the router says of itself to psql: pgbouncer's commands, with its names and columns. */

import type { Socket } from 'node:net';
import {
  CLIENT,
  clientFrames,
  encodeAuthentication,
  encodeError,
  encodeServerMessage,
  FrameScanner,
  type FrameSink,
  STATUS,
  WireError,
} from '@understudy/wire/postgres';
import type { Counts, FromWorker, WorkerReport } from '../../supervisor/messages.ts';
import type { ClusterView } from '../../topology/view.ts';
import type { CancelKeys } from '../cancel.ts';
import type { ClientSession } from '../client/client-session.ts';
import { queryText } from '../client/work.ts';
import type { Pool } from '../pool/pool.ts';
import { type Table, tableOf } from './tables.ts';

const ASK_MS = 2_000;
const TEXT_TYPE = 25;

/** What of a worker is shown. */
export interface Shown {
  readonly view: ClusterView;
  readonly sessions: ReadonlySet<ClientSession>;
  readonly cancels: CancelKeys;
  readonly counts: Counts;
  pools(): readonly (readonly [user: string, database: string, pool: Pool])[];
}

export class AdminConsole {
  readonly #worker: Shown;
  readonly #tell: (message: FromWorker) => void;
  readonly #asking = new Map<number, (reports: readonly WorkerReport[]) => void>();
  #lastId = 0;

  constructor(worker: Shown, tell: (message: FromWorker) => void) {
    this.#worker = worker;
    this.#tell = tell;
  }

  /** All workers' reports came. */
  heard(id: number, reports: readonly WorkerReport[]): void {
    this.#asking.get(id)?.(reports);
    this.#asking.delete(id);
  }

  /** Serves one connection until it ends; `onEnded` is called once. */
  serve(socket: Socket, onEnded: () => void): void {
    socket.write(Buffer.concat([encodeAuthentication({ kind: 'ok' }), ...parameters(), READY]));
    const scanner = new FrameScanner(clientFrames());
    const questions: string[] = [];
    const sink: FrameSink = {
      frame: (type, bytes, start, end) => {
        if (type === CLIENT.query) questions.push(queryText(bytes.subarray(start, end)));
        else if (type === CLIENT.terminate) socket.end();
        else if (type === CLIENT.sync) socket.write(Buffer.concat([notHere(), READY]));
        return true;
      },
      piece: () => true,
    };
    let turn = Promise.resolve();
    socket.on('data', (chunk: Buffer) => {
      try {
        scanner.scan(chunk, 0, chunk.length, sink);
      } catch (error) {
        const message = error instanceof WireError ? error.message : 'the console failed';
        socket.end(encodeError({ severity: 'FATAL', code: '08P01', message }));
        return;
      }
      for (const text of questions.splice(0)) {
        turn = turn.then(async () => {
          socket.write(await this.#answer(text));
        });
      }
    });
    socket.on('end', () => socket.end());
    socket.on('close', onEnded);
    socket.resume();
  }

  async #answer(text: string): Promise<Buffer> {
    const words = text.trim().replace(/;\s*$/, '').toLowerCase().split(/\s+/);
    if (words[0] === '') return Buffer.concat([encodeServerMessage({ kind: 'empty-query' }), READY]);
    const table =
      words[0] === 'show' ? tableOf(words.slice(1).join(' '), this.#worker.view, await this.#reports()) : null;
    if (table === null) {
      const message = 'the console knows SHOW HELP, POOLS, CLIENTS, SERVERS, STATS, LISTS, NODES and VERSION';
      return Buffer.concat([encodeError({ severity: 'ERROR', code: '42601', message }), READY]);
    }
    return Buffer.concat([...rowsOf(table), READY]);
  }

  #reports(): Promise<readonly WorkerReport[]> {
    const id = ++this.#lastId;
    return new Promise((done) => {
      const deadline = setTimeout(() => this.heard(id, [this.report()]), ASK_MS);
      this.#asking.set(id, (reports) => {
        clearTimeout(deadline);
        done(reports);
      });
      this.#tell({ kind: 'reports', id });
    });
  }

  report(): WorkerReport {
    const { sessions, cancels, counts } = this.#worker;
    const clients = [...sessions].map((session) => ({
      user: session.user,
      database: session.database,
      state: session.state,
      processId: cancels.numberOf(session),
      pins: [...session.pins],
      member: session.server?.options.member ?? null,
    }));
    const pools = this.#worker.pools().map(([user, database, pool]) => {
      const own = clients.filter((each) => each.user === user && each.database === database);
      const count = (state: string): number => own.filter((each) => each.state === state).length;
      const { active, idle, opening } = pool.counts();
      return {
        user,
        database,
        clientsActive: count('active'),
        clientsWaiting: count('waiting'),
        clientsIdle: count('idle'),
        serversActive: active,
        serversIdle: idle,
        serversOpening: opening,
      };
    });
    const servers = this.#worker.pools().flatMap(([user, database, pool]) =>
      pool.servers().map((server) => ({
        user,
        database,
        member: server.options.member,
        address: `${server.options.host}:${server.options.port}`,
        state: server.isReady ? (server.user === null ? 'idle' : 'active') : 'login',
        processId: server.processId,
      })),
    );
    return { pools, clients, servers, counts: { ...counts, lost: { ...counts.lost } } };
  }
}

const READY = encodeServerMessage({ kind: 'ready-for-query', status: STATUS.idle });

const notHere = (): Buffer =>
  encodeError({ severity: 'ERROR', code: '0A000', message: 'the console takes simple queries only' });

function parameters(): Buffer[] {
  const values = { server_version: '1.18.0/understudy', client_encoding: 'UTF8', standard_conforming_strings: 'on' };
  return Object.entries(values).map(([name, value]) => encodeServerMessage({ kind: 'parameter-status', name, value }));
}

function rowsOf({ columns, rows }: Table): Buffer[] {
  const description = encodeServerMessage({
    kind: 'row-description',
    columns: columns.map((name) => ({
      name,
      tableId: 0,
      columnNumber: 0,
      typeId: TEXT_TYPE,
      typeSize: -1,
      typeModifier: -1,
      format: 0,
    })),
  });
  const data = rows.map((row) =>
    encodeServerMessage({
      kind: 'data-row',
      values: row.map((each) => (each === null ? null : Buffer.from(`${each}`))),
    }),
  );
  return [description, ...data, encodeServerMessage({ kind: 'command-complete', tag: 'SHOW' })];
}
