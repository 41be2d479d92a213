import { chmod, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { z } from 'zod';
import { controlSocket } from '../../src/circular/manage.ts';
import type { PairRequest, PairStatus } from '../../src/control/protocol.ts';
import { otherSide, type SideName } from '../../src/decide/sides.ts';
import { askPair, createPair, type Pair, type PairOptions } from '../../src/index.ts';

const startMs = 120_000;

/** Asks until it is so. @throws Error naming `what` after the deadline */
export async function eventually(
  what: string,
  isSo: () => Promise<boolean> | boolean,
  timeoutMs = 40_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`Not within ${timeoutMs} ms: ${what}`);
    await delay(30);
  }
}

type Rows = readonly Readonly<Record<string, unknown>>[];

/** A pair that a test runs, and its clients. */
export class RunningPair {
  readonly pair: Pair;

  constructor(pair: Pair) {
    this.pair = pair;
  }

  /** Starts one in a folder of its own. @param life told what to call in the end, before anything can fail. */
  static async start(options: PairOptions, life: (end: () => Promise<void>) => void): Promise<RunningPair> {
    const folder = await mkdtemp(join(tmpdir(), 'us-pair-'));
    await chmod(folder, 0o755);
    const pair = await createPair({ folder, name: 'pair', ...options });
    life(() => pair.destroy());
    await pair.start({ timeoutMs: startMs });
    return new RunningPair(pair);
  }

  get status(): PairStatus {
    return this.pair.status;
  }

  get active(): SideName {
    return this.status.active;
  }

  get passive(): SideName {
    return otherSide(this.active);
  }

  async connect(side: SideName): Promise<mysql.Connection> {
    const port = this.status.nodes.find(({ name }) => name === side)?.port ?? 0;
    const connection = await mysql.createConnection({ host: '127.0.0.1', port, ...(await this.pair.login()) });
    connection.on('error', () => undefined);
    return connection;
  }

  async query(side: SideName, sql: string): Promise<Rows> {
    const connection = await this.connect(side);
    try {
      const [rows] = await connection.query<mysql.RowDataPacket[]>({ sql, timeout: 10_000 });
      return Array.isArray(rows) ? rows : [];
    } finally {
      connection.destroy();
    }
  }

  /** Two transactions that are both open before either is committed, so that both succeed. */
  async atOnce(onN1: string | readonly string[], onN2: string | readonly string[]): Promise<void> {
    const [n1, n2] = [await this.connect('n1'), await this.connect('n2')];
    try {
      for (const each of [n1, n2]) await each.query('begin');
      for (const sql of [onN1].flat()) await n1.query(sql);
      for (const sql of [onN2].flat()) await n2.query(sql);
      await Promise.all([n1.query('commit'), n2.query('commit')]);
    } finally {
      n1.destroy();
      n2.destroy();
    }
  }

  /** Asks over the pair's socket, as the commands do. */
  ask<T>(request: PairRequest, schema: z.ZodType<T>): Promise<T> {
    return askPair(controlSocket(this.pair.folder), request, schema, 90_000);
  }

  kill(side: SideName): void {
    const pid = this.status.nodes.find(({ name }) => name === side)?.pid;
    if (pid == null) throw new Error(`${side} does not run`);
    process.kill(pid, 'SIGKILL');
  }

  /** Resolves when nothing is left to do. */
  async whole(): Promise<void> {
    await eventually('the pair to be whole', () => this.pair.supervisor.isWhole());
    await this.pair.supervisor.settled(10_000);
  }

  async checksum(side: SideName): Promise<unknown> {
    const [row] = await this.query(side, 'checksum table t');
    return row?.Checksum;
  }

  async equal(): Promise<void> {
    await eventually('the same rows on both', async () => (await this.checksum('n1')) === (await this.checksum('n2')));
  }
}

/** The content of an artifact. */
export const readArtifact = async (path: string | null): Promise<string> => readFile(path ?? '', 'utf8');
