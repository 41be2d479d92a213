// Goal: MariaDB's copies are made of the source's files, and whatever goes wrong with that neither harms the source nor passes for a copy.
// Method: real servers, with the stream between two engines in the test's hand.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PassThrough, Readable, Transform } from 'node:stream';
import { describe, it } from 'node:test';
import { type Member, memberId, relation } from '@understudy/core';
import { type CopyRequest, EngineError, type OpenCopy } from '@understudy/engine';
import { eventually, onStage, type Stage } from '@understudy/engine/conformance';
import type { LogEntry } from '@understudy/engine/host';
import { createMysqlEngine } from '../src/index.ts';
import { mysqlHarness, nodeOf, openCopyAmong, type TestNode } from './harness.ts';
import { testServers } from './servers.ts';

const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
const names = (['mariadb-10.11', 'mariadb-11.8'] as const).filter((name) => chosen === undefined || name === chosen);
const servers = await testServers(names);

it('has servers to test with', () => assert.ok(servers.length > 0));

/** Programs of copies that have to do with this node: of its own files, or of a copy for it. */
async function programsOf({ input }: TestNode): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')));
  return lines.filter(
    (line) =>
      /mariadb-backup|mbstream/.test(line) &&
      line.includes(`/${basename(input.dataDir)}`) &&
      line.includes(dirname(input.dataDir)),
  );
}

const untilNone = (node: TestNode) =>
  eventually(`no program of a copy of ${node.id}, and no files of it`, async () => {
    // One that has never run has no folder.
    const files = existsSync(node.input.runDir) ? await readdir(node.input.runDir) : [];
    return (await programsOf(node)).length === 0 && !files.some((name) => name.startsWith('copy.')) ? true : null;
  });

const untilCommitWaits = (leader: TestNode) =>
  eventually('a commit that waits', async () => {
    const [row] = await leader.ask("show global status like 'Rpl_semi_sync_master_wait_sessions'");
    return Number(row?.Value) > 0 ? true : null;
  });

/** A copy whose reader has taken the first piece and takes no more until it is told to: the backup stands still in the middle. */
async function halfWay(source: TestNode, version: string) {
  const output = new PassThrough({ highWaterMark: 1 });
  const request: CopyRequest = { member: memberId('n9'), engine: 'mariadb', version };
  const send = (to = output) => source.engine().sendCopy?.(request, to, new AbortController().signal) ?? assert.fail();
  const ended = send().then(
    () => null,
    (error: unknown) => error,
  );
  const first = await Promise.race([once(output, 'readable'), ended]);
  assert.ok(Array.isArray(first), String(first));
  return { output, ended, again: () => send(new PassThrough()) };
}

const codeOf = (error: unknown): string => (error instanceof EngineError ? error.code : String(error));

/** What a copy failed with, once it has; nothing of it may be left. */
async function failureOfClone(stage: Stage, node: TestNode): Promise<EngineError> {
  const failure = await eventually('the copy to fail', async () => node.engine().takeFailures()[0] ?? null);
  assert.equal(failure.command, 'clone');
  await untilNone(node);
  const left = (await readdir(dirname(node.input.dataDir))).filter((name) => name.startsWith(`${node.id}.clone-`));
  assert.deepEqual(left, []);
  assert.equal((await stage.state(node)).kind, 'absent');
  return failure.error;
}

const pastOf = (node: TestNode) =>
  node.ask('select v, row_start, row_end from conformance.past for system_time all order by row_start');

for (const server of servers) {
  /** Both ends' logs go to `lines`; `wrap` may do something to the stream. */
  const harnessWith = (lines: LogEntry[], wrap?: (open: OpenCopy) => OpenCopy) => {
    const nodes: TestNode[] = [];
    const open: OpenCopy = (from, request, signal) => openCopyAmong(nodes)(from, request, signal);
    const harness = mysqlHarness(server, {
      openCopy: wrap === undefined ? open : wrap(open),
      log: (entry) => lines.push(entry),
    });
    return { ...harness, makeCluster: async (count: number) => remember(await harness.makeCluster(count), nodes) };
  };
  const remember = <C extends Awaited<ReturnType<ReturnType<typeof mysqlHarness>['makeCluster']>>>(
    made: C,
    into: TestNode[],
  ): C => {
    into.push(...made.nodes.map(nodeOf));
    return made;
  };
  const statements = (lines: readonly LogEntry[]) =>
    lines.filter(({ message }) => message.includes('is copied as statements')).map(({ message }) => message);

  describe(`${server.flavour} ${server.version}: a copy of files`, () => {
    it('is what a member gets, at its source’s position, with what is prepared there and without what is the source’s own', () => {
      const lines: LogEntry[] = [];
      return onStage(harnessWith(lines), 2, async (stage) => {
        const leader = await stage.found();
        const [source, copy] = [nodeOf(leader), nodeOf(stage.node(2))];
        await source.sql([
          "xa start 'x'",
          'insert into conformance.numbers values (7)',
          "xa end 'x'",
          "xa prepare 'x'",
        ]);
        await stage.run(copy, { kind: 'clone', from: leader.id });
        await stage.until(copy, 'stopped');
        assert.deepEqual(statements(lines), []);
        assert.deepEqual(
          (await readdir(copy.input.dataDir)).filter((name) => /backup|^master\.info|relay|^binlog\.\d/.test(name)),
          [],
        );
        await untilNone(source);
        const state = await stage.state(leader);
        assert.ok(state.kind === 'primary');
        assert.equal(relation(await stage.startFenced(copy), state.position), 'equal');
        assert.deepEqual(await copy.variables(['server_id']), ['2']);
        await stage.follow(copy, leader);
        await source.sql(["xa commit 'x'"]);
        const client = await stage.connect(copy);
        await eventually('what was prepared before the copy', async () =>
          (await client.read()).includes(7) ? true : null,
        );
      });
    });

    it('is made as statements where its files are of no use, and that is said', () => {
      const lines: LogEntry[] = [];
      const other =
        (open: OpenCopy): OpenCopy =>
        (from, request, signal) =>
          open(from, { ...request, version: '10.6.9' }, signal);
      return onStage(harnessWith(lines, other), 2, async (stage) => {
        const leader = await stage.found();
        await nodeOf(leader).sql([
          'create table conformance.past (id int primary key, v int) with system versioning',
          'insert into conformance.past values (1, 1)',
          'update conformance.past set v = 2',
          'update conformance.past set v = 3',
        ]);
        await stage.join(stage.node(2), leader);
        const before = await pastOf(nodeOf(leader));
        assert.equal(before.length, 3);
        assert.deepEqual(await pastOf(nodeOf(stage.node(2))), before, 'with every row of the past, and its times');
        assert.match(statements(lines).join(), /which does not fit mariadb 10\.6\.9/);
        assert.equal(await (await stage.connect(leader)).write(1), 'acknowledged');
      });
    });

    it('is made as statements when it unpacks to something that cannot be used', () => {
      const lines: LogEntry[] = [];
      // Whole, as far as the stream goes.
      const empty = (): OpenCopy => async () => Readable.from([]);
      return onStage(harnessWith(lines, empty), 2, async (stage) => {
        const leader = await stage.found();
        await stage.join(stage.node(2), leader);
        assert.match(statements(lines).join(), /at which GTID they stand/);
      });
    });

    it('never ends on a source whose commits wait for an acknowledgement: statements are copied', () => {
      const lines: LogEntry[] = [];
      return onStage(harnessWith(lines), 2, async (stage) => {
        const leader = await stage.build(1);
        const acker = nodeOf(stage.node(2));
        const client = await stage.connect(leader);
        await acker.kill();
        await stage.until(acker, 'stopped');
        const waiting = client.write(1, 120_000);
        await untilCommitWaits(nodeOf(leader));
        await stage.run(acker, { kind: 'clone', from: leader.id });
        await stage.until(acker, 'stopped');
        assert.match(statements(lines).join(), /Nobody is there to acknowledge/);
        await stage.startFenced(acker);
        await stage.follow(acker, leader);
        assert.equal(await waiting, 'acknowledged');
      });
    });

    it('is given up when commits begin to wait while it is made, and holds nobody up', () =>
      onStage(harnessWith([]), 2, async (stage) => {
        const leader = await stage.build(1);
        const source = nodeOf(leader);
        const { output, ended } = await halfWay(source, server.version);
        await stage.node(2).freeze();
        const waiting = (await stage.connect(leader)).write(1, 120_000);
        await untilCommitWaits(source);
        output.resume();
        const error = await ended;
        assert.equal(codeOf(error), 'ENGINE_COPY_UNAVAILABLE');
        assert.match(String(error), /for commits under way/);
        await untilNone(source);
        // Nothing waits for the backup's locks any more, only for the acknowledgement.
        await eventually('no lock of the backup', async () => {
          const rows = await source.ask(
            "select state as state from information_schema.processlist where state like '%backup lock%'",
          );
          return rows.length === 0 ? true : null;
        });
        await stage.node(2).kill();
        await stage.until(stage.node(2), 'stopped');
        await stage.startFenced(stage.node(2));
        await stage.follow(stage.node(2), leader);
        assert.equal(await waiting, 'acknowledged');
      }));

    it('is sent to one member at a time, and ends with its reader', () =>
      onStage(harnessWith([]), 1, async (stage) => {
        const source = nodeOf(await stage.found());
        const { output, ended, again } = await halfWay(source, server.version);
        await assert.rejects(again, (error) => codeOf(error) === 'ENGINE_BUSY');
        assert.equal((await programsOf(source)).length, 1);
        output.destroy();
        assert.equal(codeOf(await ended), 'ENGINE_CLONE_FAILED');
        await untilNone(source);
      }));

    it('ends before its server is sealed, stopped or fenced', () =>
      onStage(harnessWith([]), 1, async (stage) => {
        const source = nodeOf(await stage.found());
        for (const command of [
          { kind: 'stop', mode: 'handover' },
          { kind: 'seal', epoch: stage.nextEpoch() },
          { kind: 'stop', mode: 'fence' },
        ] as const) {
          if ((await stage.state(source)).kind === 'stopped') await stage.startFenced(source);
          const { ended } = await halfWay(source, server.version);
          await stage.run(source, command);
          assert.equal(codeOf(await ended), 'ENGINE_CLONE_FAILED', command.kind);
          await untilNone(source);
          if (command.kind === 'stop') await stage.until(source, 'stopped');
        }
      }));

    it('does not outlive its agent', () =>
      onStage(harnessWith([]), 1, async (stage) => {
        const source = nodeOf(await stage.found());
        const { ended } = await halfWay(source, server.version);
        const next = await createMysqlEngine(source.input);
        assert.equal(codeOf(await ended), 'ENGINE_CLONE_FAILED');
        assert.deepEqual(await programsOf(source), []);
        await next.close('leave-running');
      }));

    for (const [what, spoil] of [
      ['its source’s server dies', (source: TestNode) => source.kill()],
      ['its source’s agent ends', async (source: TestNode) => source.engine().close('leave-running')],
    ] as const) {
      it(`fails, and leaves nothing, when ${what} in the middle of it`, () => {
        let from: TestNode | null = null;
        const wrap =
          (open: OpenCopy): OpenCopy =>
          async (...asked) => {
            const stream = await open(...asked);
            let isFirst = true;
            const first = new Transform({
              transform(chunk, _, done) {
                if (!isFirst || from === null) return done(null, chunk);
                isFirst = false;
                spoil(from).then(() => done(null, chunk), done);
              },
            });
            stream.on('error', (error) => first.destroy(error));
            return stream.pipe(first);
          };
        return onStage(harnessWith([], wrap), 2, async (stage) => {
          const leader = await stage.found();
          from = nodeOf(leader);
          const copy = nodeOf(stage.node(2));
          await stage.run(copy, { kind: 'clone', from: leader.id });
          const error = await failureOfClone(stage, copy);
          assert.equal(error.code, 'ENGINE_CLONE_FAILED', error.message);
          await untilNone(from);
        });
      });
    }

    it('that is broken off leaves nothing here or there', () => {
      const opened: Member[] = [];
      const wrap =
        (open: OpenCopy): OpenCopy =>
        async (...asked) => {
          const stream = await open(...asked);
          opened.push(asked[0]);
          // Nothing of it ever gets through.
          const stuck = new PassThrough({ highWaterMark: 1 });
          stuck.write('x');
          stuck.once('close', () => stream.destroy());
          return stuck;
        };
      return onStage(harnessWith([], wrap), 2, async (stage) => {
        const leader = await stage.found();
        const copy = nodeOf(stage.node(2));
        await stage.run(copy, { kind: 'clone', from: leader.id });
        await eventually('the stream to be open', async () => (opened.length > 0 ? true : null));
        await copy.engine().close('leave-running');
        await untilNone(nodeOf(leader));
        await untilNone(copy);
        const left = await readdir(dirname(copy.input.dataDir));
        assert.deepEqual(
          left.filter((name) => name.startsWith(join(`${copy.id}.clone-`))),
          [],
        );
      });
    });
  });
}
