// Goal: what an agent says of its server (cut, sealed, follows) is what the server is, wherever an agent died and whatever somebody else did to the
// server. Method: each command that ends or begins receiving is stopped at each of its steps, once before the step and once with its answer lost;
// then a new engine looks at the same server, and the test asks the server itself.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type EngineCommand, type EngineState, epoch, ms, timelineOf } from '@understudy/core';
import { eventually, monotonicMs, onStage, print, type Stage } from '@understudy/engine/conformance';
import { quoteLiteral } from '../src/names.ts';
import { pathsOf } from '../src/paths.ts';
import { mysqlProcess, mysqlProcesses as serverProcesses } from '../src/process/server-process.ts';
import { findPrograms } from '../src/programs.ts';
import { mysqlHarness, nodeOf, type TestNode, testSecrets } from './harness.ts';
import { testServers } from './servers.ts';

const isMariadb = (flavour: string): boolean => flavour === 'mariadb';

const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
const names = (['mysql-9.7', 'mariadb-11.8'] as const).filter((name) => chosen === undefined || name === chosen);
for (const server of await testServers(names)) {
  const [status, io] = isMariadb(server.flavour)
    ? ['show all slaves status', 'Slave_IO_Running']
    : ['show replica status', 'Replica_IO_Running'];

  /** Whether any thread receives, as the server says it. */
  const receives = async (node: TestNode): Promise<boolean> => {
    const rows = await node.ask(status);
    const threads = await node.ask(
      isMariadb(server.flavour)
        ? "select id from information_schema.processlist where user = 'system user' and command = 'Slave_IO'"
        : "select id from information_schema.processlist where user = 'system user' and host = 'connecting host'",
    );
    return threads.length > 0 || rows.some((row) => row[io] !== 'No');
  };

  /** What is said must be true: a server that counts as cut receives nothing. Anything else is cut again before a seal is published. */
  const requireTrue = async (node: TestNode, at: string): Promise<void> => {
    const { state } = await node.engine().observe();
    if (!countsAsCut(state)) return;
    assert.equal(await receives(node), false, `${at}: it counts as cut, and receives: ${print(state)}`);
  };

  describe(`${server.flavour} ${server.version}: proofs`, () => {
    it('a command that is stopped at any step leaves a server that is not sealed, or one that is cut', () =>
      onStage(mysqlHarness(server), 2, async (stage) => {
        const leader = await stage.build(1);
        const replica = nodeOf(stage.node(2));
        const seal: EngineCommand = { kind: 'seal', epoch: epoch(5) };
        const follow: EngineCommand = { kind: 'follow', upstream: leader.id, epoch: epoch(5) };
        const copy = { ...stage.context(replica), acknowledges: 'no' } as const;
        const attempts: readonly Attempt[] = [
          { name: 'seal', work: () => replica.engine().execute(seal, stage.context(replica)) },
          { name: 'follow with the other account', work: () => replica.engine().execute(follow, copy) },
          { name: 'promote', work: () => promote(stage, replica), until: /gtid_next|`lines`/i },
        ];
        for (const attempt of attempts) {
          const steps = await stopAtEach(stage, replica, attempt, requireTrue);
          assert.ok(steps >= 3, `${attempt.name} has ${steps} steps`);
        }
      }));

    it('a server that somebody starts by hand does not count as stopped', () =>
      onStage(mysqlHarness(server), 1, async (stage) => {
        const leader = nodeOf(await stage.build(0));
        await stage.run(leader, { kind: 'stop', mode: 'orderly' });
        await stage.until(leader, 'stopped');
        await startByHand(leader);
        const state = await eventually('it is seen', async () => {
          const seen = (await leader.engine().observe()).state;
          return seen.kind === 'stopped' ? null : seen;
        });
        assert.ok(state.kind === 'starting' || state.kind === 'replica', print(state));
        await stage.until(leader, 'replica');
        assert.equal(
          (await leader.engine().observe()).details.processId,
          (await serverProcesses(leader.input.dataDir))[0],
        );
        // Its end is noticed as well.
        await leader.freeze();
        await stage.run(leader, { kind: 'stop', mode: 'fence' });
        await stage.until(leader, 'stopped');
      }));

    it('a receiver that somebody starts is seen, a sealed server is cut again, and who follows goes back', () =>
      onStage(mysqlHarness(server), 3, async (stage) => {
        const leader = await stage.build(1);
        const [replica, other] = [nodeOf(stage.node(2)), stage.node(3)];
        const seal: EngineCommand = { kind: 'seal', epoch: epoch(5) };
        for (const start of foreignStarts(server.flavour, other.port)) {
          await stage.run(replica, seal);
          assert.ok(countsAsCut((await replica.engine().observe()).state), 'sealed');
          await replica.sql(start);
          assert.ok(await receives(replica), `started: ${start.join('; ')}`);
          const { state, details } = await replica.engine().observe();
          assert.ok(!countsAsCut(state), `${start.join('; ')}: ${print(state)}`);
          assert.match(
            details.warnings.join('\n'),
            /told from outside to receive from 127\.0\.0\.1:\d+\. .*understudy pause/,
          );
          await replica.reopen();
          assert.ok(!countsAsCut((await replica.engine().observe()).state), 'a new agent sees it too');
          await stage.run(replica, seal);
          assert.equal(await receives(replica), false, 'cut again');
          assert.ok(countsAsCut((await replica.engine().observe()).state));
          await eventually('it follows', () => stage.follow(replica, leader).then(() => true));
        }
        // A server that stalls says nothing: what was seen before may not be so any more.
        await stage.run(replica, seal);
        assert.ok(countsAsCut((await replica.engine().observe()).state));
        await replica.freeze();
        assert.ok(!countsAsCut((await replica.engine().observe()).state), 'a look that fails proves no cut');
        for (const pid of await serverProcesses(replica.input.dataDir)) process.kill(pid, 'SIGCONT');
        await stage.follow(replica, leader);
        // Beside the stream from its leader.
        await replica.sql(besides(server.flavour, other.port));
        await stage.until(replica, 'replica', ({ upstream }) => upstream === leader.id);
        await replica.engine().maintain(stage.context(replica));
        const rows = await replica.ask(status);
        assert.deepEqual(rows.map((row) => row[io]).toSorted(), ['No', 'Yes']);
      }));
  });
}

/** Starts the server with the configuration that it had last, as an operator or a service of the distribution would. */
async function startByHand({ input }: TestNode): Promise<void> {
  const { server: program, libraryPath } = await findPrograms(input);
  const { config } = pathsOf(input);
  const { dataDir, runDir, runAs: owner } = input;
  const hand = mysqlProcess({ program, libraryPath, dataDir, logFile: join(runDir, 'by-hand.log'), owner });
  const { pid } = await hand.start([`--defaults-file=${config}`, '--init-file=/dev/null']);
  hand.detach();
  assert.ok(pid > 1);
}

interface Attempt {
  readonly name: string;
  readonly work: () => Promise<void>;
  /** The last step at which it is stopped: what comes after it cannot be taken back. */
  readonly until?: RegExp;
}

/** As the protocol takes it: see `sealWhenSuspected`. */
function countsAsCut(state: EngineState): boolean {
  return state.kind === 'replica' && state.upstream === null && state.receiver.kind !== 'streaming';
}

async function promote(stage: Stage, node: TestNode): Promise<void> {
  const { state } = await node.engine().observe();
  const timeline = state.kind === 'replica' ? (timelineOf(state.replayed) ?? 0) + 1 : 1;
  const notAfter = ms(monotonicMs() + 60_000);
  const rule = { members: [], required: 0 };
  const context = stage.context(node);
  await node.engine().execute({ kind: 'promote', epoch: epoch(6), timeline, rule, notAfter }, context);
}

/** What changes nothing is no step of its own, nor are the looks of the probe. */
const changesNothing = /^\s*(select|show|flush|set session)/i;

/**
 * Stops a command at its first step, at its second, … : a statement is sent and its answer lost, so that it is carried out when it may be; a
 * note is not written. Nothing comes after that. Returns how many steps there were.
 */
async function stopAtEach(
  stage: Stage,
  replica: TestNode,
  attempt: Attempt,
  look: (node: TestNode, at: string) => Promise<void>,
): Promise<number> {
  for (let step = 0; ; step++) {
    const stop = { count: -1, at: '', isArmed: false, isLast: false };
    await replica.reopen({
      seam: (what) => {
        if (stop.at !== '') return 'die';
        if (!stop.isArmed || changesNothing.test(what)) return 'go';
        stop.count += 1;
        if (stop.count < step) return 'go';
        stop.at = what;
        stop.isLast = attempt.until?.test(what) ?? false;
        return stop.isLast || /^(write|remove) /.test(what) ? 'die' : 'lose';
      },
    });
    await replica.engine().observe();
    stop.isArmed = true;
    await attempt.work().catch(() => undefined);
    const at = `${attempt.name}, step ${step}: ${stop.at.slice(0, 60)}`;
    await replica.reopen({ seam: undefined });
    // What was lost on its way may be carried out a moment later.
    for (let looks = 0; looks < 3; looks++) await look(replica, at);
    await eventually(`${at}: follows again`, async () => {
      const again = { kind: 'follow', upstream: stage.node(1).id, epoch: epoch(9) } as const;
      await replica
        .engine()
        .execute(again, stage.context(replica))
        .catch(() => undefined);
      const { state } = await replica.engine().observe();
      return state.kind === 'replica' && state.receiver.kind === 'streaming' && state.upstream !== null ? true : null;
    });
    if (stop.at === '' || stop.isLast) return step;
  }
}

/** Ways to let a cut server receive again, by hand. */
function foreignStarts(flavour: string, port: number): readonly (readonly string[])[] {
  if (isMariadb(flavour)) {
    return [['start slave io_thread'], [...named(flavour, port), "start slave 'mine' io_thread"]];
  }
  const start = `start replica io_thread user = 'us_ack_n2' password = ${quoteLiteral(testSecrets.replication)}`;
  return [
    [start],
    [`change replication source to source_port = ${port}`, start],
    [...named(flavour, port), "start replica io_thread for channel 'mine'"],
  ];
}

const besides = (flavour: string, port: number): readonly string[] =>
  isMariadb(flavour)
    ? [...named(flavour, port), "start slave 'mine' io_thread"]
    : ["start replica io_thread for channel 'mine'"];

const named = (flavour: string, port: number): readonly string[] =>
  isMariadb(flavour)
    ? [`change master 'mine' to master_host = '127.0.0.1', master_port = ${port}, master_user = 'nobody'`]
    : [
        `change replication source to source_host = '127.0.0.1', source_port = ${port}, source_user = 'nobody', source_auto_position = 1 for channel 'mine'`,
      ];
