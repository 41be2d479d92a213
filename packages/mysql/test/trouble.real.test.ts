import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, epoch, ms } from '@understudy/core';
import { type ConformanceNode, eventually, monotonicMs, onStage, type Stage } from '@understudy/engine/conformance';
import { ServerSession } from '../src/sql/session.ts';
import { mysqlHarness, nodeOf, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

/** What people do to servers, and what the engine says about it. */
const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
for (const server of await testServers(testServerNames.filter((name) => chosen === undefined || name === chosen))) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: trouble`, () => {
    it('says why an applier has stopped, cannot be opened then, and goes on when the cause is gone', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = stage.node(2);
        await asAdmin(replica, async (session) => {
          await unlogged(session, ['insert into conformance.numbers values (7)']);
        });
        const client = await stage.connect(leader);
        for (const value of [6, 7, 8]) assert.equal(await client.write(value), 'acknowledged');
        const state = await stage.until(replica, 'replica', ({ blocked }) => blocked !== undefined);
        assert.match(state.blocked ?? '', /stopped by error 1062: .*Duplicate entry '7'/);
        await warned(stage, replica, /error 1062: .*Duplicate entry '7'.*understudy reinit/);
        assert(state.position !== null, 'it vouches for what it received');

        await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
        await replica.engine().maintain(stage.context(replica));
        const sealed = await stage.until(replica, 'replica', ({ blocked }) => blocked !== undefined);
        assert(sealed.position !== null, 'sealed, it still says how far it received');
        const notAfter = ms(monotonicMs() + 60_000);
        const command = { kind: 'promote', epoch: epoch(9), lineage: 7, rule: ALONE, notAfter } as const;
        await assert.rejects(replica.engine().execute(command, stage.context(replica)), /applier has stopped/);
        assert.equal((await stage.state(replica)).kind, 'replica');

        await asAdmin(replica, (session) => unlogged(session, ['delete from conformance.numbers where value = 7']));
        await stage.run(replica, { kind: 'follow', leader: leader.id, epoch: epoch(9) });
        await stage.until(replica, 'replica', ({ blocked }) => blocked === undefined);
        assert.deepEqual((await replica.engine().observe()).details.warnings, []);
        assert.deepEqual(await (await stage.connect(replica)).read(), [6, 7, 8]);
      }));
  });
}

function asAdmin<T>(node: ConformanceNode, work: (session: ServerSession) => Promise<T>): Promise<T> {
  const path = join(nodeOf(node).input.runDir, 'mysql.sock');
  const login = { at: { kind: 'socket', path }, user: 'us_admin', password: testSecrets.admin, ca: null } as const;
  return ServerSession.open(login, 2000).then(async (session) => {
    try {
      return await work(session);
    } finally {
      await session.end();
    }
  });
}

/** Changes a fenced server without a trace in its log, as a careless administrator does. */
async function unlogged(session: ServerSession, statements: readonly string[]): Promise<void> {
  const [row] = await session.query("show global variables like 'super_read_only'");
  const [before, after] =
    row === undefined ? [[], []] : [['set global super_read_only = off'], ['set global super_read_only = on']];
  for (const statement of [...before, 'set sql_log_bin = 0', ...statements, 'set sql_log_bin = 1', ...after]) {
    await session.query(statement);
  }
}

/** Waits until the engine warns of it. */
async function warned(stage: Stage, node: ConformanceNode, pattern: RegExp): Promise<string> {
  const seen = async () => (await node.engine().observe()).details.warnings;
  return eventually(
    String(pattern),
    async () => {
      await node.engine().maintain(stage.context(node));
      return (await seen()).find((warning) => pattern.test(warning)) ?? null;
    },
    async () => (await seen()).join('\n'),
  );
}
