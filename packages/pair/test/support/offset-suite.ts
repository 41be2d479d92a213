import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findMysql } from '@understudy/servers';
import { OffsetServer, readFacts } from '../../src/offset/server.ts';
import { offsetSetup } from '../../src/offset/setup.ts';
import { offsetStatus } from '../../src/offset/status.ts';
import { offsetSwitchover } from '../../src/offset/switchover.ts';
import { PlainServer } from './plain-server.ts';
import { eventually } from './running.ts';

const account = { user: 'repl', password: "repl's \\ own" };
const silent = (): void => undefined;

/** Everything that replication by file and offset must do, on one server version; the steps build on each other. */
export function offsetSuite(flavour: 'mysql' | 'mariadb', version: string): void {
  describe(`two servers of ${flavour} ${version} without GTIDs`, () => {
    let root = '';
    const started: PlainServer[] = [];
    const connected: OffsetServer[] = [];

    before(async () => {
      root = await mkdtemp(join(tmpdir(), 'us-offset-'));
      await chmod(root, 0o755);
      for (const id of [1, 2]) started.push(await PlainServer.start(root, id, { flavour, version }));
    });
    after(async () => {
      for (const each of connected) await each.close();
      for (const each of started) await each.stop();
      await rm(root, { recursive: true, force: true });
    });

    const server = (number: 1 | 2): PlainServer => {
      const found = started[number - 1];
      if (found === undefined) throw new Error(`There is no server ${number}`);
      return found;
    };
    const connect = async (name: string, number: 1 | 2): Promise<OffsetServer> => {
      const opened = await OffsetServer.connect(name, server(number).login);
      connected.push(opened);
      return opened;
    };
    const sums = async (number: 1 | 2): Promise<unknown> =>
      (await server(number).query('checksum table company_db.Employees'))[0]?.Checksum;
    const equal = () => eventually('the same rows on both', async () => (await sums(1)) === (await sums(2)));

    test('setup refuses what cannot work, names each thing with its fix, and changes nothing', async () => {
      await server(1).query('create database company_db; create table company_db.old (n int) engine = MyISAM');
      await server(1).query("set global binlog_format = 'MIXED'");
      const both = { primary: await connect('primary', 1), replica: await connect('replica', 2) };
      await assert.rejects(offsetSetup(both, account, await copyPrograms(), silent, silent), (error: Error) => {
        assert.match(error.message, /primary: binlog_format is MIXED\. SET GLOBAL/);
        assert.match(error.message, /company_db\.old \(MyISAM\).*ENGINE = InnoDB/);
        return true;
      });
      assert.deepEqual(await server(1).query("select user from mysql.user where user = 'repl'"), []);
      await server(1).query("drop table company_db.old; set global binlog_format = 'ROW'");
    });

    const copyPrograms = async () => {
      const { tools } = await findMysql({ flavour, version });
      assert.ok(tools.dump !== null && tools.client !== null);
      return { dump: tools.dump, client: tools.client };
    };

    test('setup: a copy at a known place while somebody writes, with the accounts, and the replica follows', async () => {
      await server(1).query(
        `create table company_db.Employees (id int auto_increment primary key, name varchar(50), salary decimal(10,2), hired date);
         create user 'app'@'%' identified by 'app of the tests'; grant select, insert on company_db.* to 'app'@'%'`,
      );
      const writer = await server(1).connect();
      let isWriting = true;
      const writing = (async () => {
        for (let index = 0; isWriting; index += 1) {
          await writer.query(
            `insert into company_db.Employees (name, salary, hired) values ('e${index}', 1.10, '2026-01-02')`,
          );
        }
      })();
      const both = { primary: await connect('primary', 1), replica: await connect('replica', 2) };
      const result = await offsetSetup(both, account, await copyPrograms(), silent, silent);
      isWriting = false;
      await writing;
      writer.destroy();
      assert.match(result.from, /^binlog\.\d{6}:\d+$/);
      assert.ok(result.accounts.includes("'app'@'%'"));
      await equal();
      const other = await server(2).query('select count(*) as n from company_db.Employees', {
        user: 'app',
        password: 'app of the tests',
      });
      assert.ok(Number(other[0]?.n) > 0);
      await assert.rejects(
        server(2).query("insert into company_db.Employees (name) values ('no')", {
          user: 'app',
          password: 'app of the tests',
        }),
        /read-only/,
      );
    });

    test('status: places, bytes behind, and the error that stopped it', async () => {
      const [primary, replica] = [await connect('primary', 1), await connect('replica', 2)];
      const look = async () => {
        const second = await readFacts(replica);
        return offsetStatus(await readFacts(primary), second);
      };
      await eventually('nothing left to execute', async () => (await look()).replica.unexecutedBytes === 0);
      assert.deepEqual((await look()).problems, []);
      const stop = flavour === 'mysql' ? 'stop replica sql_thread' : 'stop slave sql_thread';
      await server(2).query(stop);
      await server(1).query(
        "insert into company_db.Employees (name) values ('later'); flush binary logs; insert into company_db.Employees (name) values ('next file')",
      );
      await eventually('it to be received', async () => (await look()).replica.unreceivedBytes === 0);
      const behind = await look();
      assert.ok((behind.replica.unexecutedBytes ?? 0) > 300, JSON.stringify(behind.replica));
      assert.match(behind.problems.join(), /applier was stopped by somebody/);

      const [row] = await server(1).query('select max(id) as id from company_db.Employees');
      const session = await server(2).connect();
      await session.query(
        `set sql_log_bin = 0; ${flavour === 'mysql' ? 'set global super_read_only = off; ' : ''}insert into company_db.Employees (id, name) values (${row?.id}, 'in the way')`,
      );
      await session.query(stop.replace('stop', 'start'));
      await eventually('the stop to be explained', async () =>
        /error 1062: a unique key is taken/.test((await look()).problems.join()),
      );
      await assert.rejects(
        offsetSwitchover(primary, replica, account, 5000, silent),
        /Its applier is stopped \(error 1062\)/,
      );
      await session.query(
        `delete from company_db.Employees where id = ${row?.id} and name = 'in the way'; ${flavour === 'mysql' ? 'set global super_read_only = on; ' : ''}${stop.replace('stop', 'start')}`,
      );
      session.destroy();
      await equal();
    });

    test('switchover: undone at its deadline while a lock keeps the replica back, and the primary is open again', async () => {
      const blocker = await server(2).connect();
      await blocker.query('lock tables company_db.Employees read');
      await server(1).query("update company_db.Employees set salary = 2 where name = 'later'");
      const [primary, replica] = [await connect('primary', 1), await connect('replica', 2)];
      await assert.rejects(
        offsetSwitchover(primary, replica, account, 1500, silent),
        /instead of binlog.*Everything is as it was/,
      );
      await server(1).query("insert into company_db.Employees (name) values ('open again')");
      await blocker.query('unlock tables');
      blocker.destroy();
      await equal();
    });

    test('switchover: the exact end is executed, the roles are exchanged, and back', async () => {
      for (const [from, to] of [
        [1, 2],
        [2, 1],
      ] as const) {
        // A session with all rights that stays connected must not write afterwards.
        const privileged = await server(from).connect();
        const [primary, replica] = [await connect('primary', from), await connect('replica', to)];
        const result = await offsetSwitchover(primary, replica, account, 20_000, silent);
        assert.equal(result.primary, `127.0.0.1:${server(to).port}`);
        await assert.rejects(privileged.query("insert into company_db.Employees (name) values ('no')"));
        privileged.destroy();
        await server(to).query(`insert into company_db.Employees (name) values ('on ${to}')`);
        await equal();
        const [row] = await server(from).query('select @@global.read_only as closed');
        assert.equal(String(row?.closed), '1');
      }
    });

    test('the steps to GTIDs work as they are written', async () => {
      const onBoth = async (sql: string): Promise<void> => {
        for (const number of [1, 2] as const) await server(number).query(sql);
      };
      if (flavour === 'mysql') {
        for (const value of ['WARN', 'ON']) await onBoth(`SET GLOBAL enforce_gtid_consistency = ${value}`);
        for (const value of ['OFF_PERMISSIVE', 'ON_PERMISSIVE']) await onBoth(`SET GLOBAL gtid_mode = ${value}`);
        await equal();
        for (const number of [1, 2] as const) {
          await eventually('no anonymous transaction', async () => {
            const [row] = await server(number).query("SHOW STATUS LIKE 'Ongoing_anonymous_transaction_count'");
            return row?.Value === '0';
          });
        }
        await onBoth('SET GLOBAL gtid_mode = ON');
        await server(2).query('STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1; START REPLICA');
      } else {
        await server(1).query('SET GLOBAL read_only = ON');
        await equal();
        const [row] = await server(1).query('SELECT @@gtid_binlog_pos AS position');
        await server(2).query(
          `STOP SLAVE; SET GLOBAL gtid_slave_pos = '${row?.position}'; CHANGE MASTER TO MASTER_USE_GTID = slave_pos; START SLAVE`,
        );
        await server(1).query('SET GLOBAL read_only = OFF');
        await onBoth('SET GLOBAL gtid_strict_mode = ON');
      }
      await server(1).query("insert into company_db.Employees (name) values ('by GTID')");
      await equal();
      const { replica } = await readFacts(await connect('replica', 2));
      assert.equal(replica?.usesGtids, 'yes');
      assert.deepEqual([replica.receiver.error, replica.applier.error], [null, null]);
    });
  });
}
