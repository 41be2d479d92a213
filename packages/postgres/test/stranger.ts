import { once } from 'node:events';
import type { ConformanceNode } from '@understudy/engine/conformance';
import pg from 'pg';
import { testSecrets } from './harness.ts';

/** A client that takes the log as `pg_receivewal` does, under a name of its choice, and confirms everything, also what it never got. */
export class Stranger {
  readonly #client: pg.Client;
  readonly ended: Promise<void>;
  #state: 'there' | 'gone' = 'there';

  private constructor(client: pg.Client) {
    this.#client = client;
    this.ended = new Promise<void>((resolve) => {
      client.on('error', () => resolve());
      client.on('end', () => resolve());
    }).then(() => {
      this.#state = 'gone';
    });
  }

  static async join(
    node: ConformanceNode,
    applicationName: string,
    role: 'superuser' | 'replication' = 'superuser',
    { slot, ...more }: { readonly slot?: string; readonly ssl?: pg.ClientConfig['ssl'] } = {},
  ): Promise<Stranger> {
    const login =
      role === 'superuser'
        ? { user: 'postgres', password: testSecrets.superuser, database: 'postgres' }
        : { user: 'understudy_replication', password: testSecrets.replication, database: 'replication' };
    const as = { application_name: applicationName, replication: role === 'superuser' ? 'database' : 'true' };
    const client = new pg.Client({ ...login, ...as, ...more, host: node.host, port: node.port });
    const stranger = new Stranger(client);
    await client.connect();
    const { rows } = await client.query<{ timeline: number; xlogpos: string }>('IDENTIFY_SYSTEM');
    const { timeline, xlogpos } = rows[0] ?? { timeline: 0, xlogpos: '' };
    const streaming = once(client.connection, 'replicationStart');
    const through = slot === undefined ? '' : `SLOT ${slot} `;
    client.query(`START_REPLICATION ${through}PHYSICAL ${xlogpos} TIMELINE ${timeline}`).catch(() => undefined);
    await streaming;
    stranger.confirm();
    return stranger;
  }

  leave(): void {
    this.#client.connection.stream.destroy();
  }

  get isThere(): boolean {
    return this.#state === 'there';
  }

  /** A standby status update: written, flushed and applied up to far ahead. */
  confirm(): void {
    const status = Buffer.alloc(5 + 34);
    status.write('d');
    status.writeUInt32BE(4 + 34, 1);
    status.write('r', 5);
    for (const offset of [6, 14, 22]) status.writeBigUInt64BE(0x7fff_0000_0000n, offset);
    this.#client.connection.stream.write(status);
  }
}
