// Whoever has FILE, or a function of their own, in the database acts as the user that owns the data directory and the run directory. Here that
// user puts all kinds of things in the place of every file that the agent touches, at every operation: nothing outside changes, or gets in.
import assert from 'node:assert/strict';
import { existsSync, lchownSync, lstatSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, type EngineCommand, KEEP_END, ms } from '@understudy/core';
import { attempt, endOf, eventually, monotonicMs, onStage, Siege } from '@understudy/engine/conformance';
import { serverUser } from '@understudy/servers';
import { mysqlHarness, nodeOf } from './harness.ts';
import { type TestServerName, testServers } from './servers.ts';

const user = serverUser();
const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
const names: readonly TestServerName[] = ['mysql-9.7', 'mariadb-11.8'];

const files = {
  data: ['understudy.json', 'binlog.state', 'mysql_upgrade_history', 'mariadb_upgrade_info'],
  run: [
    'server.log',
    'server.log.1',
    'my.cnf',
    'my.cnf.good',
    'start.sql',
    'server.pid',
    'mysql.sock',
    'tmp',
    'opened',
    'upstream',
  ],
  copy: [
    'clone.cnf',
    'clone.sql',
    'clone.log',
    'clone.tmp',
    'clone.dump.cnf',
    'clone.client.cnf',
    'copy.cnf',
    'copy.tmp',
  ],
};

for (const server of await testServers(names.filter((name) => chosen === undefined || name === chosen))) {
  const harness = mysqlHarness(server);

  describe(`${server.flavour} ${server.version}: a hostile owner of the data and run directories`, () => {
    it('cannot use a start, a stop or the bounded log', () =>
      onStage(harness, 1, async (stage) => {
        const leader = await stage.found();
        const { dataDir, runDir } = nodeOf(leader).input;
        const siege = new Siege(user);
        const unharmed = (what: string): void => siege.assertUnharmed([dataDir, runDir], what);
        try {
          const log = join(runDir, 'server.log');
          writeFileSync(log, 'evil '.repeat(7_000_000));
          siege.plant('a link to a file', `${log}.1`);
          await eventually('a bounded log', async () => {
            await endOf(leader.engine().maintain(stage.context(leader)), 'a look');
            return lstatSync(log).size < 1024 ** 2 ? true : null;
          });
          unharmed('the bounded log');
          assert(lstatSync(`${log}.1`).isFile(), 'the link is gone');
          await stage.run(leader, { kind: 'stop', mode: 'orderly' });
          await stage.until(leader, 'stopped');
          const start = async (what: string): Promise<void> => {
            await attempt(stage, leader, { kind: 'start', end: KEEP_END }, what);
            const stop = await attempt(stage, leader, { kind: 'stop', mode: 'fence' }, `the stop after ${what}`);
            assert.equal(stop, 'ended', `the stop after ${what}`);
            unharmed(what);
          };
          const inRun = files.run.map((name) => join(runDir, name));
          for (const path of [...files.data.map((name) => join(dataDir, name)), runDir]) {
            await siege.instead(path, 'a link to a file', () => start(`a start with a link at ${path}`));
          }
          for (const attack of ['a link to a file', 'a pipe'] as const) {
            const what = `a start with ${attack} at all of ${files.run.join(', ')}`;
            await siege.insteadOfAll(inRun, attack, () => start(what));
          }
          await stage.startFenced(leader);
        } finally {
          siege.end();
        }
      }));

    it('cannot use a seal, a promotion or a new copy', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = nodeOf(stage.node(2));
        const { dataDir, runDir } = replica.input;
        const siege = new Siege(user);
        const unharmed = (what: string): void => siege.assertUnharmed([dataDir, runDir], what);
        try {
          const commands: readonly EngineCommand[] = [
            { kind: 'seal', epoch: stage.nextEpoch() },
            { kind: 'follow', upstream: leader.id, epoch: stage.nextEpoch() },
          ];
          for (const attack of ['a link to a file', 'a folder'] as const) {
            for (const path of [join(dataDir, 'understudy.json'), join(runDir, 'upstream'), join(runDir, 'opened')]) {
              for (const command of commands) {
                const what = `"${command.kind}" with ${attack} at ${path}`;
                await siege.instead(path, attack, () => attempt(stage, replica, command, what));
                unharmed(what);
              }
            }
          }
          // A promotion last: an open one is no replica any more, and is stopped for the copy.
          const notAfter = ms(monotonicMs() + 600_000);
          const promote = { kind: 'promote', epoch: stage.nextEpoch(), timeline: 9, rule: ALONE, notAfter } as const;
          await attempt(stage, replica, { kind: 'seal', epoch: stage.nextEpoch() }, 'a seal');
          await siege.instead(join(dataDir, 'understudy.json'), 'a link to a file', () =>
            attempt(stage, replica, promote, 'a promotion'),
          );
          unharmed('a promotion');
          await attempt(stage, replica, { kind: 'stop', mode: 'fence' }, 'a stop');
          for (const kind of ['clone', 'aside', 'fork', 'init']) {
            siege.plant('a link to a folder', `${dataDir}.${kind}-20260101-000000000-0001`);
            siege.plant('a link to a file', `${dataDir}.${kind}-20260101-000000000-0002`);
          }
          for (const name of files.copy) siege.plant('a link to a file', join(runDir, name));
          symlinkSync(join(siege.outside, 'folder'), join(dataDir, 'elsewhere'));
          if (user !== null) lchownSync(join(dataDir, 'elsewhere'), user.uid, user.gid);
          await attempt(stage, replica, { kind: 'clone', from: leader.id }, 'a copy over a link');
          unharmed('a copy over a link');
          rmSync(join(dataDir, 'elsewhere'));
          await attempt(stage, replica, { kind: 'clone', from: leader.id }, 'a copy');
          await endOf(replica.engine().listKept(), 'the list of what is kept');
          unharmed('a copy');
          for (const kind of ['clone', 'aside', 'fork', 'init']) {
            for (const number of [1, 2]) rmSync(`${dataDir}.${kind}-20260101-000000000-000${number}`, { force: true });
          }
          for (const name of files.copy) rmSync(join(runDir, name), { recursive: true, force: true });
          if (!existsSync(dataDir)) await stage.join(replica, leader);
          unharmed('all of it');
        } finally {
          siege.end();
        }
      }));
  });
}
