import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findMysql } from '@understudy/servers';
import { z } from 'zod';
import { checkResultSchema, planSchema, repairResultSchema, switchResultSchema } from '../../src/control/protocol.ts';
import { conflictCases, richTable } from './conflicts.ts';
import { eventually, RunningPair, readArtifact } from './running.ts';

const stopReceiver = { mysql: 'stop replica io_thread', mariadb: 'stop slave io_thread' } as const;

/** Everything that a pair must do, on one server version; the steps build on each other. */
export function pairSuite(engine: 'mysql' | 'mariadb', version: string): void {
  describe(`a circular pair of ${engine} ${version}`, () => {
    let end: () => Promise<void> = async () => undefined;
    let running: RunningPair;

    before(async () => {
      await findMysql({ flavour: engine, version });
      running = await RunningPair.start({ engine, version, checkEveryS: 3600 }, (how) => {
        end = how;
      });
      await running.query(
        'n1',
        'create table t (id int auto_increment primary key, email varchar(40) unique, n decimal(9,2), d date)',
      );
    });
    after(() => end());

    test('one server takes writes, the other refuses them; the active role moves without loss', async () => {
      await running.query('n1', "insert into t (email, n) values ('first', 1)");
      await assert.rejects(running.query('n2', "insert into t (email) values ('no')"), /read-only/);
      const { active } = await running.ask({ op: 'switch', to: null, timeoutMs: 10_000 }, switchResultSchema);
      assert.equal(active, 'n2');
      await running.query('n2', "insert into t (email, n) values ('second', 2)");
      await assert.rejects(running.query('n1', "insert into t (email) values ('no')"), /read-only/);
      await running.equal();
    });

    test('both write at the same time: no number is given twice, nothing circulates, both are equal', async () => {
      await running.ask({ op: 'writers', writers: 'both', timeoutMs: 10_000 }, z.unknown());
      await Promise.all(
        (['n1', 'n2'] as const).map(async (side) => {
          const client = await running.connect(side);
          for (let index = 0; index < 50; index += 1)
            await client.query(`insert into t (email) values ('${side} ${index}')`);
          client.destroy();
        }),
      );
      await running.equal();
      const [row] = await running.query(
        'n1',
        "select count(*) as n, count(distinct id) as ids from t where email like 'n%'",
      );
      assert.deepEqual([row?.n, row?.ids], [100, 100]);
      await running.pair.supervisor.settled(5000);
      const before = running.status.nodes.map(({ position }) => position);
      for (let look = 0; look < 3; look += 1) await running.pair.supervisor.settled(5000);
      const later = running.status.nodes.map(({ position }) => position);
      assert.deepEqual(later, before, 'positions go on growing although nobody writes');
      assert.equal(later[0], later[1]);
    });

    test('a unique key that both gave away is named with both rows, and repaired without skipping anything', async () => {
      await running.atOnce(
        "insert into t (email, n) values ('same', 10)",
        "insert into t (email, n) values ('same', 20)",
      );
      await eventually('the stop to be explained on both', () => {
        const stop = running.status.problems.find(({ id }) => id === 'stop');
        return stop !== undefined && /n1 has stopped/.test(stop.text) && /n2 has stopped/.test(stop.text);
      });
      const [stop] = running.status.problems;
      assert.equal(stop?.table, 'app.t');
      assert.equal(stop?.key, 'email');
      assert.match(stop?.text ?? '', /error 1062/);
      const named = stop?.rows.map(({ side, what, row }) => `${side} ${what} ${row?.email} ${row?.n}`) ?? [];
      assert.ok(named.includes('n1 has same 10.00'), named.join('; '));
      assert.ok(named.includes('n2 sent insert same 20.00'), named.join('; '));
      const plan = await running.ask({ op: 'plan', id: 'stop', keep: 'n1' }, planSchema);
      assert.match(plan.steps.join(' '), /none is skipped/);
      assert.notEqual((await running.query('n2', "select n from t where email = 'same'"))[0]?.n, '10.00');

      const before = running.status.nodes.map(({ position }) => position);
      const result = await running.ask({ op: 'repair', id: 'stop', keep: 'n1', timeoutMs: 30_000 }, repairResultSchema);
      await running.whole();
      await running.equal();
      assert.equal((await running.query('n2', "select n from t where email = 'same'"))[0]?.n, '10.00');
      assert.match(await readArtifact(result.artifact), /"n": "20.00"/);
      assert.deepEqual(running.status.problems, []);
      // What was repaired is in no log: both hold what both have written, and nothing else.
      const positions = running.status.nodes.map(({ position }) => position);
      assert.equal(positions[0], positions[1]);
      assert.notDeepEqual(positions, before);
    });

    test('two updates of one row that both succeed are found by comparison, named, and repaired', async () => {
      await running.atOnce("update t set n = 100 where email = 'first'", "update t set n = 200 where email = 'first'");
      const check = await running.ask({ op: 'check', timeoutMs: 60_000 }, checkResultSchema);
      const [row] = check.problems;
      assert.equal(check.problems.length, 1, JSON.stringify(check.problems));
      assert.match(row?.id ?? '', /^row:app\.t:\d+$/);
      assert.deepEqual(new Set(row?.rows.map((each) => each.row?.n)), new Set(['100.00', '200.00']));
      await running.ask({ op: 'repair', id: row?.id ?? '', keep: 'n2', timeoutMs: 30_000 }, repairResultSchema);
      await running.equal();
      const again = await running.ask({ op: 'check', timeoutMs: 60_000 }, checkResultSchema);
      assert.deepEqual(again.problems, []);
      assert.ok(again.rows >= 100);
    });

    test('conflicts of every kind that stops replication are repaired row by row, and the rest of their transactions stays', async () => {
      await running.query('n1', richTable);
      await running.equal();
      for (const { name, n1, n2, afterwards, keep, left } of conflictCases) {
        await running.atOnce(n1, n2);
        if (afterwards !== undefined) await running.query(afterwards.side, afterwards.sql);
        await eventually(`the stop: ${name}`, () => running.status.problems.some(({ id }) => id === 'stop'));
        await running.ask({ op: 'repair', id: 'stop', keep, timeoutMs: 30_000 }, repairResultSchema);
        await running.whole();
        for (const side of ['n1', 'n2'] as const) {
          const rows = await running.query(side, 'select id, code, n from rich order by id');
          assert.equal(rows.map(({ id, code, n }) => `${id}:${code}:${n}`).join(' '), left, `${name}, on ${side}`);
        }
        const { problems } = await running.ask({ op: 'check', timeoutMs: 60_000 }, checkResultSchema);
        assert.deepEqual(problems, [], name);
      }
      const [row] = await running.query(
        'n2',
        "select hex(b) as b, bits + 0 as bits, cast(at as char) as at, e, g from rich where code = 'dup'",
      );
      assert.deepEqual(
        [row?.b, Number(row?.bits), row?.at, row?.e, row?.g],
        ['00FF27', 5, '2026-01-02 03:04:05.678', 'b', 3],
      );
    });

    test('an update against a delete: the row that is kept is on both again, with all of its values', async () => {
      await running.query('n1', "update t set d = '2026-01-02' where email = 'second'");
      await running.equal();
      await running.atOnce("delete from t where email = 'second'", "update t set n = 300 where email = 'second'");
      await eventually('the stop', () => running.status.problems.some(({ id }) => id === 'stop'));
      assert.match(running.status.problems[0]?.text ?? '', /n1 has stopped .*error 1032/);
      await running.ask({ op: 'repair', id: 'stop', keep: 'n2', timeoutMs: 30_000 }, repairResultSchema);
      await running.whole();
      for (const side of ['n1', 'n2'] as const) {
        const [row] = await running.query(side, "select n, cast(d as char) as d from t where email = 'second'");
        assert.deepEqual([row?.n, row?.d], ['300.00', '2026-01-02']);
      }
      await running.equal();
    });

    test('the active server is killed: the other one is opened with all that it received, and the dead one follows it', async () => {
      await running.ask({ op: 'writers', writers: 'one', timeoutMs: 10_000 }, z.unknown());
      await running.equal();
      const [dead, successor] = [running.active, running.passive];
      running.kill(dead);
      await eventually('the other to take writes', () =>
        running.query(successor, "insert into t (email) values ('after the death')").then(
          () => true,
          () => false,
        ),
      );
      assert.equal(running.active, successor);
      await running.whole();
      await running.equal();
      await assert.rejects(running.query(dead, "insert into t (email) values ('no')"), /read-only/);
    });

    test('what a dead server had not sent is named with its rows, held apart, and goes only when somebody says so', async () => {
      const { supervisor } = running.pair;
      const [dead, successor] = [running.active, running.passive];
      // In between two looks of the supervisor, so that it does not mend this first.
      await supervisor.exclusively(async () => {
        await supervisor.servers[successor].sql.fresh(3000, (session) => session.query(stopReceiver[engine]));
        await running.query(dead, "insert into t (email) values ('late')");
        running.kill(dead);
      });
      await eventually('it to be set apart', () => running.status.problems.some(({ id }) => id === 'apart'));
      const apart = running.status.problems.find(({ id }) => id === 'apart');
      assert.deepEqual(
        apart?.rows.map(({ side, row }) => [side, row?.email]),
        [[dead, 'late']],
      );
      assert.match(await readArtifact(apart?.artifact ?? null), /'late'/);
      await running.query(successor, "insert into t (email) values ('newer')");
      await running.ask({ op: 'repair', id: 'apart', keep: successor, timeoutMs: 60_000 }, repairResultSchema);
      await running.whole();
      await running.equal();
      for (const side of ['n1', 'n2'] as const) {
        const rows = await running.query(side, "select email from t where email in ('late', 'newer')");
        assert.deepEqual(
          rows.map(({ email }) => email),
          ['newer'],
        );
      }
      // The copy is as good as the old one: it can be the active one, and the other follows it.
      await running.ask({ op: 'switch', to: dead, timeoutMs: 20_000 }, switchResultSchema);
      await running.query(dead, "insert into t (email) values ('from the copy')");
      await running.equal();
    });
  });
}
