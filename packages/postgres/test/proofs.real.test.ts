import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { access, appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ALONE, ackRule, type EngineState, KEEP_END, memberId } from '@understudy/core';
import {
  type ConformanceNode,
  eventually,
  onStage,
  type Stage,
  type WriteOutcome,
} from '@understudy/engine/conformance';
import { childrenOf } from '@understudy/engine/host';
import { follow } from '../src/commands/follow.ts';
import { seal } from '../src/commands/seal.ts';
import { makeInstance, type PostgresEngineInput } from '../src/index.ts';
import type { Instance } from '../src/instance.ts';
import { quoteLiteral, standbyName } from '../src/names.ts';
import { receiversOf } from '../src/process/receivers.ts';
import { postgresHarness, serversOf, TestNode, testSecrets } from './harness.ts';
import { sql } from './sql.ts';
import { Stranger } from './stranger.ts';

// What somebody does to a server behind the agent's back must never become a part of a proof: neither of a seal nor of a rule.
const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');
const harness = postgresHarness(server);

describe('who may acknowledge', () => {
  it('only the members that the rule names, whatever another connection calls itself', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(1);
      const client = await leader.connect();
      const receivers = [await receiverOf(stage.node(2)), await receiverOf(stage.node(3))];
      for (const pid of receivers) process.kill(pid, 'SIGSTOP');
      const strangers: Stranger[] = [];
      for (const name of ['n2', 'N3', 'understudy nobody', standbyName('another', stage.node(2).id)]) {
        strangers.push(await Stranger.join(leader, name));
      }
      const waiting = client.write(1, 60_000);
      for (let n = 0; n < 20; n++) for (const stranger of strangers) stranger.confirm();
      await eventually('a commit that waits', async () => {
        const rows = await sql(leader, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'");
        return rows[0]?.count === '1' ? true : null;
      });
      const all = [...(await stage.until(leader, 'primary')).replicas];
      assert.deepEqual(all.map(({ member }) => member).sort(), ['n2', 'n3'], 'and none of them is taken for a member');
      assert.notEqual((await stage.until(leader, 'primary')).acks.running, null, 'so the rule stays proven');
      // Whoever copies a name from the server's own list is counted by it: that is seen, said and ended.
      const thief = await Stranger.join(leader, standbyName('conformance', stage.node(2).id).toUpperCase());
      // Replies count once the server has seen it caught up.
      let outcome: WriteOutcome | null = null;
      waiting.then((ended) => {
        outcome = ended;
      }, assert.fail);
      await eventually('the end of the wait', async () => {
        thief.confirm();
        return outcome;
      });
      assert.equal(await waiting, 'acknowledged', 'the server counts it, which nobody can keep it from');
      const { acks } = await stage.until(leader, 'primary');
      assert.equal(acks.running, null);
      assert.match(
        acks.unproven ?? '',
        /not a member: process \d+, role postgres from 127\.0\.0\.1, application_name "N2\./,
      );
      const rule = ackRule([stage.node(2).id, stage.node(3).id], 1);
      await stage.run(leader, { kind: 'set-ack-rule', rule });
      await thief.ended;
      const after = (await stage.until(leader, 'primary')).acks;
      assert.equal(after.running, null, 'no member holds what it let through');
      for (const pid of receivers) process.kill(pid, 'SIGCONT');
      const proven = await stage.until(leader, 'primary', (state) => state.acks.running !== null);
      assert.deepEqual(proven.acks.running, rule);
      await leader.engine().maintain(stage.context(leader));
      assert.match((await leader.engine().observe()).details.warnings.join('\n'), /application_name "N2\./);
      await client.close();
      // A reader with our own role, which never confirms the end of the log: a handover does not wait for it.
      strangers.push(await Stranger.join(leader, 'backup', 'replication'));
      assert(
        strangers.every(({ isThere }) => isThere),
        'nobody else was ended',
      );
      await stage.run(leader, { kind: 'stop', mode: 'handover' });
      await stage.until(leader, 'stopped', ({ position }) => position !== null);
      await Promise.all(strangers.map(({ ended }) => ended));
    }));
});

describe('what somebody changes on a server', () => {
  it('on the leader ends in the wanted value and a warning, and is proven by nothing meanwhile', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const { dataDir } = inputOf(leader);
      const rule = ackRule([stage.node(2).id], 1);
      const emptied = "synchronous_standby_names = ''\n";
      const ways: readonly (readonly [string, () => Promise<unknown>])[] = [
        ['ALTER SYSTEM', () => sql(leader, "alter system set synchronous_standby_names = ''")],
        ['a line after our include', () => appendFile(join(dataDir, 'postgresql.conf'), emptied)],
        ['our include', () => appendFile(join(dataDir, 'understudy.conf'), emptied)],
      ];
      for (const [way, change] of ways) {
        await change();
        await sql(leader, 'select pg_reload_conf()');
        const { acks } = await stage.until(leader, 'primary', (state) => state.acks.running === null);
        assert.match(acks.unproven ?? '', /synchronous_standby_names is "", which Understudy did not set/, way);
        await stage.run(leader, { kind: 'set-ack-rule', rule });
        assert.deepEqual((await stage.until(leader, 'primary')).acks.running, rule, way);
      }
      await stage.until(leader, 'primary');
      await leader.engine().maintain(stage.context(leader));
      const warnings = (await leader.engine().observe()).details.warnings.join('\n');
      assert.match(warnings, /Somebody set synchronous_standby_names on this server \(.*auto\.conf:\d+\).*taken back/);
      assert.match(warnings, /Somebody set synchronous_standby_names on this server \(.*postgresql\.conf:\d+\)/);
      // Stopped by hand: others could start it as it is, so its end proves nothing until our own start has sealed it.
      process.kill((await leader.engine().observe()).details.processId ?? 0, 'SIGINT');
      assert.equal((await stage.until(leader, 'stopped')).position, null);
      await startByHand(leader);
      await stage.until(leader, 'replica', ({ upstream }) => upstream === null);
      await rm(join(dataDir, 'standby.signal'));
      process.kill((await leader.engine().observe()).details.processId ?? 0, 'SIGINT');
      await stage.until(leader, 'stopped');
      await startByHand(leader);
      assert.equal(
        (await stage.until(leader, 'primary')).acks.running,
        null,
        'open by hand: seen, and proven by nothing',
      );
      await leader.engine().maintain(stage.context(leader));
      await access(join(dataDir, 'standby.signal'));
    }));

  it('on a replica never makes it look sealed, and is cut again', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const replica = stage.node(2);
      await stage.run(leader, { kind: 'set-ack-rule', rule: ALONE });
      await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.until(replica, 'replica', looksSealed);
      const login = `user=understudy_replication password='${testSecrets.replication.replaceAll('\\', '\\\\')}'`;
      const conninfo = `host=${leader.host} port=${leader.port} ${login} application_name=mine`;
      await sql(replica, `alter system set primary_conninfo = ${quoteLiteral(conninfo)}`);
      await sql(replica, 'select pg_reload_conf()');
      await eventually('a stream of its own', async () => {
        const rows = await sql(replica, 'select status from pg_stat_wal_receiver');
        return rows[0]?.status === 'streaming' ? true : null;
      });
      const foreign = await stage.until(replica, 'replica', (state) => !looksSealed(state));
      assert.equal(foreign.upstream, null);
      await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.until(replica, 'stopped');
      await stage.startFenced(replica);
      assert(looksSealed(await stage.until(replica, 'replica')));
      assert.deepEqual(await sql(replica, 'select pid from pg_stat_wal_receiver'), []);
      // With an address that nobody answers there is never a stream, yet there may be one at any moment.
      await sql(replica, "alter system set primary_conninfo = 'host=127.0.0.1 port=1'");
      await sql(replica, 'select pg_reload_conf()');
      await stage.until(replica, 'replica', (state) => !looksSealed(state));
      await stage.follow(replica, leader);
      const warnings = (await replica.engine().observe()).details.warnings.join('\n');
      assert.match(warnings, /Somebody set primary_conninfo on this server/);
      assert(!warnings.includes(testSecrets.replication), 'no secret in it');
      // Our own include, emptied by hand: what the agent wrote last is not what the server does.
      await appendFile(join(inputOf(replica).dataDir, 'understudy.conf'), "primary_conninfo = ''\n");
      await sql(replica, 'select pg_reload_conf()');
      await stage.until(replica, 'replica', ({ upstream }) => upstream === null);
      await stage.follow(replica, leader);
      await rm(join(inputOf(replica).dataDir, 'standby.signal'));
      await replica.engine().maintain(stage.context(replica));
      await access(join(inputOf(replica).dataDir, 'standby.signal'));
      assert.match((await replica.engine().observe()).details.warnings.join('\n'), /had removed standby\.signal/);
    }));

  it('opening a replica by hand acknowledges nothing, and its data never counts again', () =>
    onStage(harness, 3, async (stage) => {
      const leader = await stage.build(2);
      const [promoted, restarted] = [stage.node(2), stage.node(3)];
      await sql(promoted, 'select pg_promote()');
      process.kill((await restarted.engine().observe()).details.processId ?? 0, 'SIGINT');
      await stage.until(restarted, 'stopped');
      await rm(join(inputOf(restarted).dataDir, 'standby.signal'));
      await startByHand(restarted);
      for (const node of [promoted, restarted]) {
        const open = await stage.until(node, 'primary');
        assert.equal(open.acks.running, null);
        const client = await node.connect();
        const write = client.write(Number(node.id.slice(1)), 60_000);
        await eventually('a commit that waits', async () => {
          const rows = await sql(node, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'");
          return rows[0]?.count === '1' ? true : null;
        });
        await node.engine().execute({ kind: 'stop', mode: 'fence' }, stage.context(node));
        assert.equal(await write, 'unknown');
        await client.close();
        await node.reopen();
        await stage.run(node, { kind: 'start', end: KEEP_END });
        const spoiled = await stage.until(node, 'replica');
        assert.equal(spoiled.position, null, 'it proves nothing');
        assert(spoiled.receiver.kind === 'broken' && spoiled.receiver.cause === 'damaged');
        assert.match(spoiled.receiver.detail ?? '', /opened for writes by hand/);
      }
      await Promise.all([promoted, restarted].map((node) => stage.join(node, leader)));
      for (const node of [promoted, restarted]) {
        await stage.position(node);
        assert.equal((await node.keptAside()).length, 1);
      }
      // The line that was allocated meanwhile has the number that the one opened by hand took.
      await stage.run(leader, { kind: 'stop', mode: 'handover' });
      await stage.until(leader, 'stopped');
      for (const node of [promoted, restarted]) await stage.run(node, { kind: 'seal', epoch: stage.nextEpoch() });
      await stage.promote(promoted, ALONE);
      await stage.follow(restarted, promoted);
    }));

  it('settings that void the promise are named within one look, on whatever member they are', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const replica = stage.node(2);
      await sql(
        leader,
        'create role hasty; alter role hasty set synchronous_commit = off; create unlogged table u (i int)',
      );
      await sql(leader, 'alter database postgres set synchronous_commit = local');
      await sql(leader, 'alter database postgres set default_transaction_read_only = on');
      for (const setting of ['fsync = off', 'zero_damaged_pages = on'])
        await sql(replica, `alter system set ${setting}`);
      await sql(replica, 'select pg_reload_conf()');
      for (const node of [leader, replica]) await node.reopen();
      for (const node of [leader, replica]) {
        await stage.until(node, node === leader ? 'primary' : 'replica');
        await node.engine().maintain(stage.context(node));
      }
      const led = await stage.until(leader, 'primary');
      const texts = (led.voids ?? []).map(({ effect, text }) => `${effect}: ${text}`).join('\n');
      assert.match(texts, /loss: synchronous_commit=off is set for hasty in every database/);
      assert.match(texts, /loss: synchronous_commit=local is set for every role in postgres/);
      const found = (await stage.until(replica, 'replica')).voids ?? [];
      const own = found.map(({ effect, text }) => `${effect}: ${text}`).join('\n');
      assert.match(
        own,
        /assumed: fsync=off is set in .*postgresql\.auto\.conf:\d+: .*loses power.*ALTER SYSTEM RESET fsync/,
      );
      assert.match(own, /assumed: zero_damaged_pages=on/);
      const { warnings } = (await leader.engine().observe()).details;
      assert.match(warnings.join('\n'), /default_transaction_read_only is on for every role in postgres/);
      assert.match(warnings.join('\n'), /UNLOGGED tables in postgres/);
    }));
});

describe('a command that ends or begins receiving, broken off before each of its steps', () => {
  it('leaves a server that is either seen to receive or receives nothing', () =>
    onStage(harness, 2, async (stage) => {
      const leader = await stage.build(1);
      const replica = stage.node(2);
      await stage.run(leader, { kind: 'set-ack-rule', rule: ALONE });
      const commands = {
        seal: (instance: Instance) => seal(instance),
        follow: (instance: Instance) => follow(instance, leader.id, stage.context(replica)),
      };
      for (const [name, command] of Object.entries(commands)) {
        let outcome: 'broken off' | 'done' = 'broken off';
        for (let steps = 0; outcome === 'broken off'; steps++) {
          assert(steps < 100, `${name} never came to its end`);
          if (name === 'seal') await stage.follow(replica, leader);
          else await stage.run(replica, { kind: 'seal', epoch: stage.nextEpoch() });
          outcome = await brokenOff(inputOf(replica), steps, command);
          // The agent that comes next knows nothing but what the server and its files say.
          await replica.reopen();
          const at = `${name}, ${steps} steps done`;
          const seen = await stage.until(replica, 'replica', ({ position }) => position !== null);
          if (!looksSealed(seen)) continue;
          assert.deepEqual(await receiversOf((await replica.engine().observe()).details.processId ?? 0), [], at);
          await sql(leader, "select pg_logical_emit_message(true, 'test', 'more'), pg_switch_wal()");
          const later = await stage.until(replica, 'replica', ({ position }) => position !== null);
          assert(looksSealed(later), `${at}: and it stays so`);
          assert.deepEqual(later.position, seen.position, `${at}: nothing more is received`);
        }
      }
    }));
});

/** Runs a command as an agent would that dies before step number `steps`: before a file, a signal or a statement. */
async function brokenOff(
  input: PostgresEngineInput,
  steps: number,
  command: (instance: Instance) => Promise<unknown>,
): Promise<'broken off' | 'done'> {
  let left = steps;
  const step = (): void => {
    if (left <= 0) throw new BrokenOff();
    left -= 1;
  };
  const { instance, probe } = await makeInstance(input, step);
  const stepping: Instance = {
    ...instance,
    sql: watched(instance.sql, ['rows', 'row'], step),
    postmaster: watched(instance.postmaster, ['signal', 'terminate'], step),
  };
  try {
    await instance.observe();
    await command(stepping);
    return 'done';
  } catch (error) {
    if (!(error instanceof BrokenOff)) throw error;
    return 'broken off';
  } finally {
    await probe.stop();
    await instance.sql.close();
    instance.postmaster.detach();
  }
}

class BrokenOff extends Error {}

/** `target`, and whatever its methods hand out, with `step` before each call of one of `methods`. */
function watched<T extends object>(target: T, methods: readonly string[], step: () => void): T {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (methods.includes(String(name))) step();
        const own = args.map((arg) =>
          typeof arg === 'function' ? (given: object) => arg(watched(given, methods, step)) : arg,
        );
        const result: unknown = Reflect.apply(value, target, own);
        if (name !== 'monitor' && name !== 'open') return result;
        return Promise.resolve(result).then((session) =>
          typeof session === 'object' && session !== null ? watched(session, methods, step) : session,
        );
      };
    },
  });
}

// What a commit that waits for its replicas answers when something ends the wait: by trying, as the manual says little of it.
for (const each of await serversOf([15, 17, 18])) {
  describe(`PostgreSQL ${each.major}: whatever ends the wait of a commit`, () => {
    it('ends it with a lost connection or a warning, never with a plain success', () =>
      onStage(postgresHarness(each), 1, async (stage) => {
        const leader = await stage.found();
        await stage.run(leader, { kind: 'set-ack-rule', rule: ackRule([memberId('nobody')], 1) });
        let value = 0;
        const waiting = async () => {
          const client = await leader.connect();
          value += 1;
          const outcome = client.write(value, 60_000);
          await eventually('a commit that waits', async () => {
            const rows = await sql(leader, "select pid from pg_stat_activity where wait_event = 'SyncRep'");
            return rows.length > 0 ? true : null;
          });
          return { outcome, close: () => client.close() };
        };
        const end = (how: string) =>
          sql(leader, `select ${how}(pid) from pg_stat_activity where wait_event = 'SyncRep'`);
        for (const how of ['pg_cancel_backend', 'pg_terminate_backend']) {
          const { outcome, close } = await waiting();
          await end(how);
          assert.equal(await outcome, 'unknown', how);
          await close();
        }
        for (const [signal, how] of [
          ['SIGINT', 'a fast stop, as systemd and docker do it'],
          ['SIGQUIT', 'an immediate stop'],
          ['SIGTERM', 'a smart stop, and then an orderly one'],
        ] as const) {
          const { outcome, close } = await waiting();
          const { details } = await leader.engine().observe();
          process.kill(details.processId ?? 0, signal);
          if (signal === 'SIGTERM') await stage.run(leader, { kind: 'stop', mode: 'orderly' });
          assert.equal(await outcome, 'unknown', how);
          await close();
          await stage.until(leader, 'stopped');
          await stage.startFenced(leader);
          await stage.promote(leader, ackRule([memberId('nobody')], 1));
        }
      }));
  });
}

const tooled = [server, ...(await serversOf([15, 17, 18]))].find(({ tools }) => tools.pgRewind !== null);

describe('rewinds', { skip: tooled === undefined ? 'no pg_rewind was found: npm run servers -- get' : false }, () => {
  it('one that was killed half way, or saw no divergence where there is one, leaves what is never started', async () => {
    assert(tooled !== undefined);
    await onStage(postgresHarness(tooled), 3, async (stage) => {
      const leader = await stage.build(1);
      const [second, third] = [stage.node(2), stage.node(3)];
      await stage.run(leader, { kind: 'set-ack-rule', rule: ALONE });
      await sql(leader, 'insert into conformance select generate_series(1, 1000)');
      for (const node of [second, third]) await stage.run(node, { kind: 'seal', epoch: stage.nextEpoch() });
      await sql(leader, 'insert into conformance select generate_series(1001, 2000)');
      await leader.engine().execute({ kind: 'stop', mode: 'fence' }, stage.context(leader));
      // Two promotions that know nothing of each other take the same number.
      const timeline = await stage.promote(second, ALONE);
      assert.equal(await stage.promote(third, ALONE), timeline);
      for (const node of [second, third]) {
        await stage.run(node, { kind: 'provision' });
        await stage.until(node, 'primary');
        await sql(node, 'insert into conformance select generate_series(3000, 30000); checkpoint');
      }
      await third.engine().execute({ kind: 'stop', mode: 'fence' }, stage.context(third));
      await failRewind(stage, third, second, /saw no divergence|nothing in common|no rewind/);
      // A limit on the size of files kills it in the middle of its copying, as a signal would.
      const script = join(inputOf(leader).runDir, 'pg_rewind');
      await writeFile(script, `#!/bin/sh\nulimit -f 64\nexec ${tooled.tools.pgRewind} "$@"\n`, { mode: 0o755 });
      await testNode(leader).reopenWith(script);
      await failRewind(stage, leader, second, /pg_rewind/);
      for (const node of [leader, third]) {
        await stage.join(node, second);
        assert((await node.keptAside()).length > 0, 'what only it held is kept');
      }
      assert.deepEqual(await sql(third, 'select count(*)::int from conformance'), [{ count: 28001 }]);
    });
  });
});

async function failRewind(stage: Stage, node: ConformanceNode, from: ConformanceNode, message: RegExp): Promise<void> {
  await stage.run(node, { kind: 'rewind', from: from.id });
  const failure = await eventually('the failure', async () => node.engine().takeFailures()[0] ?? null);
  assert.equal(failure.error.code, 'ENGINE_REWIND_FAILED');
  assert.match(failure.error.message, message);
  assert.equal((await stage.state(node)).kind, 'incomplete');
  await node.reopen();
  await stage.run(node, { kind: 'start', end: KEEP_END });
  const refused = await eventually('the refusal', async () => node.engine().takeFailures()[0] ?? null);
  assert.equal(refused.error.code, 'ENGINE_DATA_REFUSED');
}

type Replica = Extract<EngineState, { kind: 'replica' }>;

/** What the protocol takes for "cut": from here on it would publish this node's position. */
function looksSealed({ upstream, receiver }: Replica): boolean {
  return upstream === null && receiver.kind !== 'streaming';
}

/** Starts the server as it was started last, as an operator or a service of the distribution would. */
async function startByHand(node: ConformanceNode): Promise<void> {
  const { dataDir, runAs } = inputOf(node);
  const options = await readFile(join(dataDir, 'postmaster.opts'), 'utf8');
  const [program = '', rest = ''] = [options.slice(0, options.indexOf(' "')), options.slice(options.indexOf(' "'))];
  const args = [...rest.matchAll(/"([^"]*)"/g)].map(([, arg = '']) => arg);
  const server = spawn(program, args, { cwd: dataDir, detached: true, stdio: 'ignore', ...(runAs ?? {}) });
  server.unref();
  await eventually('an answer', () =>
    sql(node, 'select 1').then(
      () => true,
      () => null,
    ),
  );
}

function inputOf(node: object): PostgresEngineInput {
  return testNode(node).input;
}

function testNode(node: object): TestNode {
  if (!(node instanceof TestNode)) throw new Error('not a node of this harness');
  return node;
}

async function receiverOf(node: ConformanceNode): Promise<number> {
  return childOf(node, /walreceiver/);
}

/** A server process of a node, by its title. */
async function childOf(node: ConformanceNode, title: RegExp): Promise<number> {
  const { details } = await node.engine().observe();
  return eventually(`a process ${title}`, async () => {
    const child = (await childrenOf(details.processId ?? 0)).find((candidate) => title.test(candidate.title));
    return child?.pid ?? null;
  });
}
