import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, ackRule, contains, type Epoch, epoch, KEEP_END, type LogEnd } from '@understudy/core';
import { type ConformanceNode, eventually, onStage, type Stage } from '@understudy/engine/conformance';
import type { LogEntry } from '@understudy/engine/host';
import { mysqlHarness, nodeOf } from './harness.ts';
import { testServers } from './servers.ts';

/** What a leader wrote and nobody acknowledged is cut off its log when another one leads: only on MariaDB, and only what is surely that. */
for (const server of await testServers(['mariadb-10.11', 'mariadb-11.8'])) {
  describe(`${server.flavour} ${server.version}: the end of the log of a fallen leader`, () => {
    it('is cut off and kept; the node follows with its data, and takes back what the new leader has of it', () =>
      onStage(mysqlHarness(server, { log: note }), 3, async (stage) => {
        const [n1, n2, n3] = [await stage.build(1), stage.node(2), stage.node(3)];
        const { ino } = await stat(nodeOf(n1).input.dataDir);
        await fall(stage, { leader: n1, heir: n2, acker: n3, shared: 4, own: 5 });
        await stage.promote(n2, ALONE);
        warnings.length = 0;
        await stage.startFenced(n1, discardBefore(epoch(2)));
        await follow(stage, n1, n2);
        assert.equal(await (await stage.connect(n2)).write(6), 'acknowledged');
        await holds(stage, n1, [1, 2, 3, 4, 6]);
        assert.equal((await stat(nodeOf(n1).input.dataDir)).ino, ino, 'the same data directory');
        assert.deepEqual(await nodeOf(n1).keptAside(), []);
        await isKept(n1, [4, 5]);

        // It leads again, falls again, and comes back again: the numbers that it wrote under change each time.
        await follow(stage, n3, n2);
        await stage.setRule(n2, ackRule([n1.id], 1));
        await n2.kill();
        await stage.promote(n1, ackRule([n3.id], 1));
        await follow(stage, n3, n1);
        await stage.startFenced(n2, discardBefore(epoch(3)));
        await follow(stage, n2, n1);
        await fall(stage, { leader: n1, heir: n2, acker: n3, shared: 7, own: 8 });
        await stage.promote(n2, ALONE);
        await stage.startFenced(n1, discardBefore(epoch(4)));
        await follow(stage, n1, n2);
        await holds(stage, n1, [1, 2, 3, 4, 6, 7]);
        await isKept(n1, [7, 8]);
      }));

    it('stays while the record names this node, or a leader from before it', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const n1 = await stage.build(1);
        await nodeOf(stage.node(2)).sql(['stop slave io_thread']);
        assert.equal(await (await stage.connect(n1)).write(1, 300), 'unknown');
        for (const end of [discardBefore(epoch(1)), KEEP_END]) {
          await crash(stage, n1);
          await stage.startFenced(n1, end);
          await holds(stage, n1, [1]);
        }
        assert.deepEqual(await forks(n1), [], 'nothing was cut');
      }));

    it('stays once anything may have been received, with everything that was acknowledged', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const [n1, n2] = [await stage.build(1), stage.node(2)];
        await crash(stage, n1);
        await stage.promote(n2, ackRule([n1.id], 1));
        await stage.startFenced(n1, discardBefore(epoch(2)));
        await follow(stage, n1, n2);
        const client = await stage.connect(n2);
        for (let value = 1; value <= 40; value++) assert.equal(await client.write(value), 'acknowledged');
        const { position } = await stage.until(n2, 'primary');
        await crash(stage, n1);
        await crash(stage, n2);
        assert(contains(await stage.startFenced(n1, discardBefore(epoch(9))), position));
        await holds(
          stage,
          n1,
          Array.from({ length: 40 }, (_, index) => index + 1),
        );
      }));

    it('stays when a change that cannot be rolled back lies behind the cut', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const [n1, n2] = [await stage.build(1), stage.node(2)];
        await nodeOf(n1).sql(['create table conformance.old (value int) engine=MyISAM']);
        await nodeOf(n2).sql(['stop slave io_thread']);
        const client = await stage.connect(n1);
        const waiting = client.write(1, 1000);
        await eventually('the commit to wait', async () => (await waits(n1)) || null);
        nodeOf(n1)
          .sql(['insert into conformance.old values (1)'])
          .catch(() => undefined);
        assert.equal(await waiting, 'unknown');
        await crash(stage, n1);
        await stage.startFenced(n1, discardBefore(epoch(2)));
        await holds(stage, n1, [1]);
        assert.deepEqual(await forks(n1), []);
      }));
  });
}

const warnings: string[] = [];
const note = ({ level, message }: LogEntry): void => {
  if (level === 'warn') warnings.push(message);
};

const discardBefore = (before: Epoch): LogEnd => ({ kind: 'discard', before });

interface Fall {
  readonly leader: ConformanceNode;
  readonly heir: ConformanceNode;
  readonly acker: ConformanceNode;
  /** A value that the heir receives and nobody acknowledges. */
  readonly shared: number;
  /** One that the leader alone has. */
  readonly own: number;
}

/** Writes what is acknowledged (1 to 3) the first time, then what is not, and kills the leader. */
async function fall(stage: Stage, { leader, heir, acker, shared, own }: Fall): Promise<void> {
  await stage.setRule(leader, ackRule([acker.id], 1));
  const client = await stage.connect(leader);
  if (shared === 4) for (let value = 1; value <= 3; value++) assert.equal(await client.write(value), 'acknowledged');
  await nodeOf(acker).sql(['stop slave io_thread']);
  assert.equal(await client.write(shared, 300), 'unknown');
  await holds(stage, heir, await valuesWith(heir, shared));
  await nodeOf(heir).sql(['stop slave io_thread']);
  assert.equal(await (await stage.connect(leader)).write(own, 300), 'unknown');
  await crash(stage, leader);
}

async function valuesWith(node: ConformanceNode, value: number): Promise<readonly number[]> {
  const client = await node.connect();
  const seen = await client.read();
  await client.close();
  return [...new Set([...seen, value])];
}

async function crash(stage: Stage, node: ConformanceNode): Promise<void> {
  await node.kill();
  await stage.until(node, 'stopped');
}

/** As an agent does: again when the server is still applying. */
async function follow(stage: Stage, node: ConformanceNode, leader: ConformanceNode): Promise<void> {
  await eventually(`${node.id} following`, () => stage.follow(node, leader).then(() => true));
}

async function holds(stage: Stage, node: ConformanceNode, values: readonly number[]): Promise<void> {
  const client = await stage.connect(node);
  const same = async () => ((await client.read()).join() === values.join() ? true : null);
  await eventually(`${node.id} with ${values.join()}`, same, async () => (await client.read()).join());
}

async function waits(node: ConformanceNode): Promise<boolean> {
  const [row] = await nodeOf(node).ask("show status like 'Rpl_semi_sync_master_wait_sessions'");
  return Number(row?.Value) > 0;
}

async function forks(node: ConformanceNode): Promise<readonly string[]> {
  const { dataDir } = nodeOf(node).input;
  const names = await readdir(dirname(dataDir));
  const ours = names.filter((name) => name.startsWith(`${basename(dataDir)}.fork-`)).toSorted();
  return ours.map((name) => join(dirname(dataDir), name));
}

/** The newest kept end of a log has these values, and the log of the agent says where and which transactions they are. */
async function isKept(node: ConformanceNode, values: readonly number[]): Promise<void> {
  const folder = join((await forks(node)).at(-1) ?? '', 'unacknowledged');
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  const inserted = [...texts.join('').matchAll(/^###\s+@1=(\d+)/gm)].map(([, value]) => Number(value));
  assert.deepEqual(inserted, values);
  const told = warnings.find((each) => each.includes(folder));
  assert.match(told ?? warnings.join(), new RegExp(`written out in .*: ${values.length} transactions \\(0-\\d+-\\d+`));
}
