import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { putFile } from '@understudy/local/parts';
import { artifactFolder, plainTransaction } from '../circular/late-rows.ts';
import type { Both, SideName } from '../decide/sides.ts';
import type { Stop } from './explain.ts';
import { keyText, plainRow, type StoredRow, type TableShape } from './shape.ts';

export interface Discarded {
  readonly shape: TableShape;
  readonly key: StoredRow;
  readonly kept: StoredRow | null;
  readonly discarded: StoredRow | null;
  readonly of: SideName;
}

interface Remembered {
  readonly shape: TableShape;
  readonly key: StoredRow;
  readonly rows: Both<StoredRow | null>;
}

const nameOf = (shape: TableShape, key: StoredRow): string => `${shape.schema}.${shape.table}:${keyText(shape, key)}`;

/** The file of one repair: on disk before each change that follows from it, so that a crash in between loses no row. */
export class RepairRecord {
  readonly path: string;
  readonly #folder: string;
  readonly #content: {
    readonly at: string;
    readonly repair: string;
    readonly keep: SideName;
    readonly transactions: object[];
    before: object[];
    readonly discarded: object[];
    state: 'begun' | 'done';
  };
  readonly #done: string[] = [];

  constructor(folder: string, repair: string, keep: SideName) {
    const at = new Date().toISOString();
    const time = at.replaceAll(/[:.]/g, '').replace('T', '-').replace('Z', '');
    const kind = /^[a-z]+/.exec(repair)?.[0] ?? 'repair';
    this.#folder = folder;
    this.path = join(artifactFolder(folder), `${time}-${kind}.json`);
    this.#content = { at, repair, keep, transactions: [], before: [], discarded: [], state: 'begun' };
  }

  /** What was done, in sentences. */
  get done(): readonly string[] {
    return this.#done;
  }

  async stop({ side, error, gtid, transaction }: Stop, rows: readonly Remembered[]): Promise<void> {
    this.#content.transactions.push({
      stopped: side,
      error: error.number,
      gtid,
      transaction: transaction === null ? null : plainTransaction(transaction),
    });
    this.#content.before = rows.map(({ shape, key, rows: both }) => ({
      row: nameOf(shape, key),
      n1: plainRow(both.n1),
      n2: plainRow(both.n2),
    }));
    this.#done.push(`${side} applied transaction ${gtid ?? '(unknown)'} after what stood in its way had been moved.`);
    await this.#save();
  }

  async discard({ shape, key, kept, discarded, of }: Discarded): Promise<void> {
    const row = nameOf(shape, key);
    this.#content.discarded.push({ row, of, discarded: plainRow(discarded), kept: plainRow(kept) });
    const what = discarded === null ? `${of} gets the row, which it did not have` : `the row of ${of} was discarded`;
    this.#done.push(`${row}: ${what}.`);
    await this.#save();
  }

  async end(): Promise<void> {
    this.#content.state = 'done';
    await this.#save();
  }

  async #save(): Promise<void> {
    await mkdir(artifactFolder(this.#folder), { recursive: true, mode: 0o700 });
    await putFile(this.path, `${JSON.stringify(this.#content, null, 2)}\n`);
  }
}
