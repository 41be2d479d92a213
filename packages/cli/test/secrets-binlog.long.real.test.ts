// Goal: on MySQL and MariaDB logins of members are changed while everybody writes, no other member's password acknowledges, and no log of
// a server holds a password. Method: a real cluster of each without TLS, with general logs, driven by the real command.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import { findMysql } from '@understudy/servers';
import mysql from 'mysql2/promise';
import { ownCommand } from '../src/invocation.ts';
import { cli } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';

const names = ['n1', 'n2', 'n3'];

for (const engine of ['mysql', 'mariadb'] as const) {
  const found = await findMysql({ flavour: engine }).catch(() => null);
  describe(`logins of members of ${engine}`, { skip: found === null ? `there is no ${engine} here` : false }, () => {
    let cluster: LocalCluster | null = null;
    let folder = '';
    let remove: () => Promise<void> = async () => undefined;

    before(async () => {
      const scratch = await scratchFolder();
      remove = scratch.remove;
      folder = join(scratch.folder, 'cluster');
      const parameters = { general_log: 'ON' };
      cluster = await createLocalCluster({ folder, engine, nodes: 3, tls: 'off', parameters, command: ownCommand });
      await cluster.start();
    });

    after(async () => {
      await cluster?.kill();
      await cluster?.stop();
      await remove();
    });

    interface Login {
      readonly user: string;
      readonly password: string;
    }

    const loginsOf = async (member: string): Promise<readonly Login[]> => {
      const { own } = JSON.parse(await readFile(join(folder, member, 'run', 'logins.json'), 'utf8'));
      return own.map(({ slot, password }: { slot: string; password: string }) => ({
        user: `us_a${slot}_${member}`,
        password,
      }));
    };

    const leaderPort = async (): Promise<number> => {
      const status = JSON.parse((await cli(['status', '--json', '--data-dir', folder])).stdout);
      return status.members.find(({ id }: { id: string }) => id === status.leader).port;
    };

    const opens = async (login: Login, port: number): Promise<boolean> => {
      try {
        const connection = await mysql.createConnection({ host: '127.0.0.1', port, ...login });
        await connection.end();
        return true;
      } catch (error) {
        assert.match(String(error), /Access denied|is locked|Account is locked/);
        return false;
      }
    };

    const rows = async (statement: string): Promise<readonly Record<string, unknown>[]> => {
      const ran = await cli(['sql', statement, '--json', '--data-dir', folder]);
      assert.equal(ran.code, 0, ran.stderr);
      const [{ rows: got = [] } = {}] = JSON.parse(ran.stdout);
      return got;
    };

    it('are of no use to another member', async () => {
      const port = await leaderPort();
      const { replication } = JSON.parse(await readFile(join(folder, 'secrets.json'), 'utf8'));
      for (const name of names) {
        const [own] = await loginsOf(name);
        assert(own !== undefined);
        for (const other of names.filter((each) => each !== name)) {
          const [theirs] = await loginsOf(other);
          assert(!(await opens({ user: own.user, password: theirs?.password ?? '' }, port)), `${other} as ${name}`);
        }
        for (const user of [own.user, `us_ack_${name}`]) {
          assert(!(await opens({ user, password: replication }, port)), `${user} with the shared password`);
        }
      }
    });

    it('change under load without a failed login or write', async (t) => {
      const port = await leaderPort();
      await rows('create table app.load_test (id bigint auto_increment primary key)');
      const { superuser } = JSON.parse(await readFile(join(folder, 'secrets.json'), 'utf8'));
      const before = new Map(await Promise.all(names.map(async (name) => [name, await loginsOf(name)] as const)));
      const denied = async () => Number((await rows("show global status like 'Aborted_connects'"))[0]?.Value ?? 0);
      const deniedBefore = await denied();
      let isOver = false;
      let longestMs = 0;
      let commits = 0;
      const failures: unknown[] = [];
      const writer = (async () => {
        const connection = await mysql.createConnection({
          host: '127.0.0.1',
          port,
          user: 'admin',
          password: superuser,
        });
        while (!isOver && failures.length === 0) {
          const beginMs = performance.now();
          await connection.query('insert into app.load_test () values ()').catch((error) => failures.push(error));
          longestMs = Math.max(longestMs, performance.now() - beginMs);
          commits++;
        }
        await connection.end();
      })();
      const ran = await cli(['secrets', 'rotate', 'replication', '--json', '--data-dir', folder], {
        timeoutMs: 180_000,
      });
      isOver = true;
      await writer;
      t.diagnostic(`${commits} commits, the longest ${Math.round(longestMs)} ms`);
      assert.equal(ran.code, 0, ran.stderr);
      assert.deepEqual(failures, []);
      assert.equal((await denied()) - deniedBefore, 0, 'no login was turned away');
      assert(longestMs < 3000, `a write took ${longestMs} ms`);
      await eventually('old accounts are gone', async () => {
        const opened = await Promise.all([...before.values()].flat().map((login) => opens(login, port)));
        return opened.includes(true) ? null : true;
      });
      for (const name of names) assert.equal((await loginsOf(name)).length, 1);
    });

    it('and all other passwords are in no log of a server', async () => {
      const secrets = Object.values(JSON.parse(await readFile(join(folder, 'secrets.json'), 'utf8')) as object);
      const own = (await Promise.all(names.map(loginsOf))).flat().map(({ password }) => password);
      for (const name of names) {
        const data = join(folder, name, 'data');
        const logs = (await readdir(data)).filter((file) => /\.log$|^binlog\.|-bin\.\d|\.\d{6}$/.test(file));
        assert(
          logs.some((file) => file.endsWith('.log')),
          'there is a general log',
        );
        for (const file of logs) {
          const text = await readFile(join(data, file), 'latin1');
          for (const password of [...own, ...secrets]) assert(!text.includes(String(password)), `${name}: ${file}`);
        }
      }
    });
  });
}
