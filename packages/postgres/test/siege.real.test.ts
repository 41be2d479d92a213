// Whoever is superuser in the database acts as the user that owns the data directory and the run directory. Here that user puts all kinds of
// things in the place of every file that the agent touches, at every operation: nothing outside changes or gets in, and nothing hangs.
import assert from 'node:assert/strict';
import {
  existsSync,
  lchownSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, type EngineCommand, KEEP_END, ms } from '@understudy/core';
import {
  attacks,
  attempt,
  type ConformanceNode,
  endOf,
  eventually,
  monotonicMs,
  onStage,
  Siege,
} from '@understudy/engine/conformance';
import { serverUser } from '@understudy/servers';
import { postgresHarness, serversOf, TestNode } from './harness.ts';
import { sql } from './sql.ts';

const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');
const harness = postgresHarness(server);
const user = serverUser();
/** An ordinary agent reads what it may read anyway, also through a link. */
const isRoot = user !== null;

const files = {
  /** Without these no server starts. */
  needed: ['PG_VERSION', 'global/pg_control', 'postgresql.conf', 'understudy.json', 'pg_wal'],
  data: [
    'postgresql.auto.conf',
    'pg_hba.conf',
    'understudy_hba.conf',
    'understudy.conf',
    'understudy.opened',
    'understudy.spoiled',
    'standby.signal',
    'backup_label',
    'current_logfiles',
    'postmaster.pid',
    'pg_wal/00000002.history',
  ],
  /** With every attack: they are quick to refuse, or to read however large they are. */
  bounded: ['pg_hba.conf'],
  run: ['postgres.log', 'postgres.log.1', 'receiver.pass', 'rewind.pass', 'initdb.pass', 'armed', 'databases.json'],
};

interface Attacked {
  readonly node: TestNode;
  readonly siege: Siege;
  readonly assertUnharmed: (what: string) => void;
}

async function besieged(node: ConformanceNode, work: (attacked: Attacked) => Promise<void>): Promise<void> {
  assert(node instanceof TestNode);
  const siege = new Siege(user);
  const folders = [node.input.dataDir, node.input.runDir];
  try {
    await work({ node, siege, assertUnharmed: (what) => siege.assertUnharmed(folders, what) });
  } finally {
    siege.end();
  }
}

describe('a hostile owner of the data and run directories', () => {
  it('cannot use a start, whatever lies in the place of a file', () =>
    onStage(harness, 1, async (stage) => {
      const leader = await stage.found();
      await stage.run(leader, { kind: 'stop', mode: 'orderly' });
      await stage.until(leader, 'stopped');
      await besieged(leader, async ({ node, siege, assertUnharmed }) => {
        const start = async (what: string): Promise<void> => {
          await attempt(stage, node, { kind: 'start', end: KEEP_END }, what);
          const stop = await attempt(stage, node, { kind: 'stop', mode: 'fence' }, `the stop after ${what}`);
          assert.equal(stop, 'ended', `the stop after ${what}`);
          assertUnharmed(what);
        };
        const { needed, data, run, bounded } = files;
        for (const name of [...needed, ...data]) {
          const path = join(node.input.dataDir, name);
          for (const attack of bounded.includes(name) ? attacks : (['a link to a file', 'a pipe'] as const)) {
            await siege.instead(path, attack, () => start(`a start with ${attack} at ${path}`));
          }
        }
        // None of them keeps a server from its start.
        const inRun = run.map((name) => join(node.input.runDir, name));
        for (const attack of [
          'a link to a file',
          'another name of a file',
          'a pipe',
          'a folder',
          'a huge file',
        ] as const) {
          await siege.insteadOfAll(inRun, attack, () => start(`a start with ${attack} at all of ${run.join(', ')}`));
        }
        // An ordinary user's link to a folder of its own is that user's choice.
        const folders = [node.input.runDir, join(node.input.dataDir, 'pg_wal'), join(node.input.dataDir, 'global')];
        for (const path of isRoot ? folders : []) {
          await siege.instead(path, 'a link to a folder', () => start(`a start with a link at ${path}`));
        }
        await start('a start without any');
      });
      await stage.startFenced(leader);
    }));

  it('cannot use what an agent does while the server runs', () =>
    onStage(harness, 1, async (stage) => {
      const leader = await stage.found();
      await besieged(leader, async ({ node, siege, assertUnharmed }) => {
        const { dataDir, runDir } = node.input;
        const at = { hba: join(dataDir, 'pg_hba.conf'), log: join(runDir, 'postgres.log') };
        // As it was shown: from SQL, a log of 33 MB of somebody's choice, to be copied over a file of root's; and the key of the authority as access file.
        await sql(leader, `copy (select repeat('* * * * * root evil', 1900000)) to program 'cat > ${at.log}'`);
        await sql(leader, `copy (select 1) to program 'ln -s ${siege.secret} ${at.log}.1'`);
        renameSync(at.hba, `${at.hba}.kept`);
        symlinkSync(siege.secret, at.hba);
        if (user !== null) lchownSync(at.hba, user.uid, user.gid);
        // Somebody is told what is wrong.
        await eventually('a look at it', async () => {
          const said = String(await endOf(node.engine().maintain(stage.context(node)), 'a look'));
          return !isRoot || /pg_hba\.conf is reached by a link/.test(said) ? true : null;
        });
        assertUnharmed('a look at the access file');
        rmSync(at.hba);
        renameSync(`${at.hba}.kept`, at.hba);
        await eventually('a bounded log', async () => {
          await endOf(node.engine().maintain(stage.context(node)), 'a look');
          return lstatSync(at.log).size < 1024 ** 2 ? true : null;
        });
        assertUnharmed('the bounded log');
        assert(lstatSync(`${at.log}.1`).isFile(), 'the link is gone');
        // A file that a server names as its log is read with that server's rights.
        writeFileSync(join(dataDir, 'current_logfiles'), `stderr ${siege.secret}\n`);
        await stage.run(node, { kind: 'stop', mode: 'fence' });
        await stage.until(node, 'stopped');
        writeFileSync(join(dataDir, 'postgresql.auto.conf'), "shared_buffers = 'nonsense'\n");
        await endOf(node.engine().execute({ kind: 'start', end: KEEP_END }, stage.context(node)), 'a start that fails');
        const failure = await eventually('the failure', async () => node.engine().takeFailures()[0] ?? null);
        assert.match(failure.error.message, /shared_buffers/);
        if (isRoot) assert.doesNotMatch(failure.error.message, /CANARY/);
        assertUnharmed('a failed start');
      });
    }));

  it('cannot use a seal, a promotion or a new copy', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      await besieged(stage.node(2), async ({ node, siege, assertUnharmed }) => {
        const { dataDir, runDir } = node.input;
        const notAfter = (): ReturnType<typeof ms> => ms(monotonicMs() + 10_000);
        const timeline = 3;
        const commands: readonly EngineCommand[] = [
          { kind: 'seal', epoch: stage.nextEpoch() },
          { kind: 'promote', epoch: stage.nextEpoch(), timeline: timeline + 1, rule: ALONE, notAfter: notAfter() },
          { kind: 'follow', upstream: leader.id, epoch: stage.nextEpoch() },
        ];
        for (const attack of ['a link to a file', 'a folder', 'a link to a name that is free'] as const) {
          for (const name of ['understudy.conf', 'understudy.opened', 'pg_wal/00000003.history']) {
            for (const command of commands) {
              if (command.kind === 'promote' && name !== 'understudy.opened' && attack !== 'a folder') continue;
              const what = `"${command.kind}" with ${attack} at ${name}`;
              await siege.instead(join(dataDir, name), attack, () => attempt(stage, node, command, what));
              assertUnharmed(what);
            }
          }
          for (const name of ['receiver.pass', 'armed', 'databases.json']) {
            await siege.instead(join(runDir, name), attack, () =>
              attempt(stage, node, { kind: 'seal', epoch: stage.nextEpoch() }, name),
            );
            assertUnharmed(`"seal" with ${attack} at ${name}`);
          }
        }
        // A copy: what the owner of the folder puts beside the data directory, and into the one that is replaced.
        for (const name of ['clone', 'aside', 'fork', 'init']) {
          siege.plant('a link to a folder', `${dataDir}.${name}-20260101-000000000-0001`);
          siege.plant('a link to a file', `${dataDir}.${name}-20260101-000000000-0002`);
        }
        siege.plant('a link to a file', `${dataDir}.incomplete`);
        if (isRoot) {
          rmSync(join(dataDir, 'pg_wal'), { recursive: true, force: true });
          symlinkSync(join(siege.outside, 'folder'), join(dataDir, 'pg_wal'));
        }
        await attempt(stage, node, { kind: 'stop', mode: 'fence' }, 'a stop');
        await attempt(stage, node, { kind: 'clone', from: leader.id }, 'a copy');
        await endOf(node.engine().listKept(), 'the list of what is kept');
        assertUnharmed('a copy');
        rmSync(`${dataDir}.incomplete`, { force: true });
        if (existsSync(dataDir)) rmSync(dataDir, { recursive: true });
        for (const name of ['clone', 'aside', 'fork', 'init']) {
          for (const number of [1, 2]) rmSync(`${dataDir}.${name}-20260101-000000000-000${number}`, { force: true });
        }
        await stage.join(node, leader);
        assertUnharmed('a copy without all that');
      });
    }));

  it('may keep its log in a folder of its own elsewhere', { skip: !isRoot }, () =>
    onStage(harness, 1, async (stage) => {
      const leader = await stage.found();
      assert(leader instanceof TestNode && user !== null);
      await stage.run(leader, { kind: 'stop', mode: 'orderly' });
      await stage.until(leader, 'stopped');
      const [own, elsewhere] = [join(leader.input.dataDir, 'pg_wal'), `${leader.input.dataDir}.wal`];
      renameSync(own, elsewhere);
      symlinkSync(elsewhere, own);
      lchownSync(own, user.uid, user.gid);
      await stage.startFenced(leader);
      assert.match(readFileSync(join(leader.input.dataDir, 'PG_VERSION'), 'utf8'), /^\d+/);
    }),
  );
});
