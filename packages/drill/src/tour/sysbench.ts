import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LocalCluster } from '@understudy/local';
import type { FoundSysbench } from '@understudy/servers';
import { databaseFor } from '../database/index.ts';
import { textOf } from '../database/session.ts';
import { DrillError } from '../errors.ts';
import { withAdmin } from '../run/sql.ts';
import { socketTarget } from '../run/targets.ts';
import type { Bench } from './bench.ts';
import { type ProgramRun, startProgram } from './program.ts';

const sysbenchDatabase = 'sbtest';
const tables = 2;
const tableRows = 5000;
const clients = 4;

/** sysbench's OLTP read/write mix. Every transaction deletes a row and inserts it again, so the numbers of rows never change. */
export class Sysbench implements Bench {
  readonly name = 'sysbench';
  readonly #found: FoundSysbench;
  readonly #cluster: LocalCluster;
  readonly #folder: string;

  private constructor(found: FoundSysbench, cluster: LocalCluster, folder: string) {
    this.#found = found;
    this.#cluster = cluster;
    this.#folder = folder;
  }

  /** `close` removes what it keeps on the disk. */
  static async open(found: FoundSysbench, cluster: LocalCluster): Promise<Sysbench> {
    const folder = await mkdtemp(join(tmpdir(), 'understudy-sysbench-'));
    const { password } = cluster.login;
    // A password among the arguments could be read by everybody.
    await writeFile(join(folder, 'options'), `mysql-password=${password}\n`, { mode: 0o600 });
    await chmod(folder, 0o700);
    return new Sysbench(found, cluster, folder);
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async load(leader: string): Promise<void> {
    const database = databaseFor(this.#cluster);
    await withAdmin(this.#cluster, leader, database.adminDatabase, (admin) =>
      admin.rows(`create database ${sysbenchDatabase}`),
    );
    const { code, text } = await this.#start(leader, 'prepare', []).ended;
    if (code === 0) return;
    throw new DrillError('SETUP_FAILED', `sysbench could not load its tables: ${text.trim().slice(-300)}`);
  }

  start(node: string): ProgramRun {
    return this.#start(node, 'run', ['--time=600', '--report-interval=1']);
  }

  async check(): Promise<string> {
    for (const { name } of this.#cluster.nodes) {
      await withAdmin(this.#cluster, name, sysbenchDatabase, async (session) => {
        for (let table = 1; table <= tables; table += 1) {
          const rows = textOf(await session.rows(`select count(*) as number from sbtest${table}`), 'number');
          if (rows !== String(tableRows)) throw new Error(`${name}: sbtest${table} has ${rows} rows, not ${tableRows}`);
        }
      });
    }
    return `${tables} tables of ${tableRows} rows`;
  }

  #start(node: string, command: 'prepare' | 'run', args: readonly string[]): ProgramRun {
    // Over the socket: this program cannot be told whose certificate to believe.
    const { host, user } = socketTarget(this.#cluster, this.#cluster.node(node), sysbenchDatabase);
    const { program, script, env } = this.#found;
    const options = {
      'config-file': join(this.#folder, 'options'),
      'db-driver': 'mysql',
      'mysql-host': 'localhost',
      'mysql-socket': host,
      'mysql-user': user,
      'mysql-db': sysbenchDatabase,
      tables: String(tables),
      'table-size': String(tableRows),
      threads: String(clients),
    };
    const given = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    return startProgram(program, [script, ...given, ...args, command], env);
  }
}
