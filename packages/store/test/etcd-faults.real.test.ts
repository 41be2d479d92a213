/**
 * Goal: what the etcd adapter says about a write is true, whatever happens to the members, and no dead or frozen
 * member holds it up. Method: real members of each version, killed, frozen, compacted, replaced.
 */

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Compare, openStore, type Store, StoreError } from '@understudy/store';
import { WatchLog } from '@understudy/store/conformance';
import { type EtcdMember, EtcdServers, etcdPrograms, freePorts } from './support/etcd.ts';
import { waitUntil } from './support/process.ts';

const CALL = { deadlineMs: 10_000 };

for (const program of await etcdPrograms()) {
  describe(`etcd ${program.version}, three members`, () => {
    let servers: EtcdServers;
    before(async () => {
      servers = await EtcdServers.start(program, { members: 3 });
    });
    after(async () => {
      await servers.stop();
    });

    const open = (cluster: string, endpoints = servers.endpoints): Promise<Store> =>
      openStore({ kind: 'etcd', endpoints, cluster });

    /** Kills or freezes a member for the length of `work`, and waits until all are well again. */
    const without = async (member: EtcdMember, how: 'kill' | 'freeze', work: () => Promise<void>): Promise<void> => {
      if (how === 'freeze') member.signal('SIGSTOP');
      else await member.end('SIGKILL');
      try {
        await work();
      } finally {
        if (how === 'freeze') member.signal('SIGCONT');
        else member.start();
        await servers.ready();
      }
    };

    for (const how of ['kill', 'freeze'] as const) {
      it(`counts right through a leader that is ${how === 'kill' ? 'killed' : 'frozen'}`, async () => {
        const counters = await Promise.all(Array.from({ length: 4 }, () => open(`counter-${how}`)));
        const tally = { ok: 0, unknown: 0, safe: 0 };
        let stopping = false;
        const work = counters.map(async (store) => {
          while (!stopping) await tryIncrement(store, tally);
        });
        const committed = async (more: number) => {
          const goal = tally.ok + more;
          await waitUntil(`${more} more increments (${JSON.stringify(tally)})`, 60_000, async () => tally.ok >= goal);
        };
        await committed(50);
        await without(await servers.leader(), how, () => committed(50));
        await committed(50);
        stopping = true;
        await Promise.all(work);
        const final = Number((await counters[0]?.read(CALL))?.entries.get('n')?.value);
        await Promise.all(counters.map((store) => store.close()));
        assert.ok(tally.ok <= final && final <= tally.ok + tally.unknown, JSON.stringify({ final, ...tally }));
      });
    }

    it('shows a watch everything when the leader, whose stream it follows, is killed', async () => {
      const leader = await servers.leader();
      const others = servers.endpoints.filter((endpoint) => endpoint !== leader.endpoint);
      const [watcher, writer] = [await open('watch', [leader.endpoint, ...others]), await open('watch', others)];
      const log = WatchLog.start(watcher);
      await log.until('the first state', () => true);
      await without(leader, 'kill', async () => {
        await putSurely(writer, 'k', 'after the kill');
        await log.until('the write', ({ entries }) => entries.get('k')?.value === 'after the kill');
      });
      await log.close();
      await Promise.all([watcher.close(), writer.close()]);
    });

    it('moves a watch away from a frozen member whose stream stays open', async () => {
      const leader = await servers.leader();
      const frozen = servers.members.find((member) => member !== leader) ?? assert.fail();
      const others = servers.endpoints.filter((endpoint) => endpoint !== frozen.endpoint);
      const [watcher, writer] = [await open('frozen', [frozen.endpoint, ...others]), await open('frozen', others)];
      const log = WatchLog.start(watcher);
      await log.until('the first state', () => true);
      await without(frozen, 'freeze', async () => {
        await putSurely(writer, 'k', 'meanwhile');
        await log.until('the write', ({ entries }) => entries.has('k'));
      });
      await log.close();
      await Promise.all([watcher.close(), writer.close()]);
    });

    it('gets past dead and hung endpoints within a short deadline', async (t) => {
      const hung = await startHungServer();
      t.after(() => hung.server.close());
      const [deadPort] = await freePorts(1);
      const endpoints = [`http://127.0.0.1:${deadPort}`, hung.endpoint, ...servers.endpoints];
      for (const operation of ['read', 'transact', 'grant'] as const) {
        const store = await open('hung', endpoints);
        t.after(() => store.close());
        const options = { deadlineMs: 3_000 };
        if (operation === 'read') await store.read(options);
        if (operation === 'grant') await store.grantLease(60_000, options);
        if (operation === 'transact') {
          const result = await store.transact([], [{ kind: 'put', key: 'k', value: 'v' }], options);
          assert.equal(result.kind, 'committed');
        }
      }
    });

    it('says that nothing was written, and why, when no endpoint can be reached', async (t) => {
      const hung = await startHungServer();
      t.after(() => hung.server.close());
      const [deadPort] = await freePorts(1);
      const store = await open('nobody', [`http://127.0.0.1:${deadPort}`, hung.endpoint]);
      t.after(() => store.close());
      const error = await store.transact([], [{ kind: 'delete', key: 'k' }], { deadlineMs: 500 }).then(
        () => assert.fail('there is nobody to commit it'),
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof StoreError);
      assert.equal(error.code, 'deadline-exceeded');
      assert.equal(error.retry, 'safe');
      assert.match(error.message, /connection refused/);
      assert.match(error.message, /no answer in time/);
    });

    it('says unavailable to reads and writes without a majority, and recovers', async (t) => {
      const [first, second, third] = servers.members;
      assert.ok(first && second && third);
      const store = await open('minority', [first.endpoint]);
      t.after(() => store.close());
      await store.read(CALL);
      const log = WatchLog.start(store);
      await log.until('the first state', () => true);
      await Promise.all([second.end('SIGKILL'), third.end('SIGKILL')]);
      try {
        await assert.rejects(store.read({ deadlineMs: 1_000 }), { retry: 'safe' });
        const write = store.transact([], [{ kind: 'put', key: 'k', value: 'v' }], { deadlineMs: 1_000 });
        await assert.rejects(write, (error) => error instanceof StoreError && error.retry !== 'unsafe');
        await log.untilError('the lost majority', (error) => error.retry === 'safe');
      } finally {
        second.start();
        third.start();
        await servers.ready();
      }
      await putSurely(store, 'k', 'back');
      await log.until('the write', ({ entries }) => entries.get('k')?.value === 'back');
      await log.close();
    });
  });

  describe(`etcd ${program.version}, replaced`, () => {
    it('writes nothing to another cluster at the same address, and says so to calls and watches', async (t) => {
      const first = await EtcdServers.start(program, { members: 1 });
      t.after(() => first.stop());
      const store = await openStore({ kind: 'etcd', endpoints: first.endpoints, cluster: 'c' });
      t.after(() => store.close());
      const log = WatchLog.start(store);
      await putSurely(store, 'k', 'v');
      await log.until('the key', ({ entries }) => entries.has('k'));
      await first.stop();

      const second = await EtcdServers.start(program, { members: 1, token: 'second', clientPorts: first.ports });
      t.after(() => second.stop());
      const write = store.transact([], [{ kind: 'put', key: 'k', value: 'astray' }], CALL);
      await assert.rejects(write, { code: 'wrong-cluster', retry: 'unsafe' });
      await assert.rejects(store.read(CALL), { code: 'wrong-cluster', retry: 'unsafe' });
      await log.untilError('the other cluster', (error) => error.code === 'wrong-cluster');
      await log.close();

      const fresh = await openStore({ kind: 'etcd', endpoints: second.endpoints, cluster: 'c' });
      t.after(() => fresh.close());
      assert.equal((await fresh.read(CALL)).entries.size, 0);
    });

    it('notices a store of the same name that has lost its past', async (t) => {
      const first = await EtcdServers.start(program, { members: 1 });
      t.after(() => first.stop());
      const store = await openStore({ kind: 'etcd', endpoints: first.endpoints, cluster: 'c' });
      t.after(() => store.close());
      for (let n = 0; n < 5; n += 1) await putSurely(store, 'k', String(n));
      const log = WatchLog.start(store);
      await log.until('the key', ({ entries }) => entries.has('k'));
      await first.restartEmpty();
      const write = store.transact([], [{ kind: 'put', key: 'k', value: 'astray' }], CALL);
      await assert.rejects(write, { code: 'revision-went-back', retry: 'unsafe' });
      await assert.rejects(store.read(CALL), { code: 'revision-went-back', retry: 'unsafe' });
      await log.untilError('the lost past', (error) => error.code === 'revision-went-back');
      await log.close();
    });
  });
}

/** One attempt to add 1; counts what the store says about it. A counter of its own for each outcome. */
async function tryIncrement(store: Store, tally: { ok: number; unknown: number; safe: number }): Promise<void> {
  try {
    const entry = (await store.read({ deadlineMs: 2_000 })).entries.get('n');
    const compare: Compare =
      entry === undefined
        ? { kind: 'absent', key: 'n' }
        : { kind: 'unchanged', key: 'n', modRevision: entry.modRevision };
    const value = String(Number(entry?.value ?? '0') + 1);
    const result = await store.transact([compare], [{ kind: 'put', key: 'n', value }], { deadlineMs: 1_000 });
    if (result.kind === 'committed') tally.ok += 1;
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    assert.notEqual(error.retry, 'unsafe', error.message);
    tally[error.retry === 'unknown' ? 'unknown' : 'safe'] += 1;
  }
}

/** Writes the same value until it is confirmed: that may be done twice. */
async function putSurely(store: Store, key: string, value: string): Promise<void> {
  await waitUntil(`${key} is written`, 30_000, async () => {
    try {
      await store.transact([], [{ kind: 'put', key, value }], { deadlineMs: 2_000 });
      return true;
    } catch (error) {
      assert.ok(error instanceof StoreError && error.retry !== 'unsafe', String(error));
      return false;
    }
  });
}

/** Accepts connections and says nothing. */
async function startHungServer(): Promise<{ server: Server; endpoint: string }> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { server, endpoint: `http://127.0.0.1:${address.port}` };
}
