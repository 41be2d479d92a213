// What is said of a server that is looked at, that does not answer, or whose looks fail. Method: looks and new connections that the test answers,
// and a clock that it moves.
import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { EMPTY_GTID_SET, type EngineState, memberId, systemId } from '@understudy/core';
import { Probe, type Probed, type RunningServer, ServerWatch, SilenceMeter, StartCount } from '../src/host/index.ts';

/** A clock that stands still until it is moved. */
function withClock(work: (forwardMs: (ms: number) => void) => Promise<void>): () => Promise<void> {
  return async () => {
    let nowNs = 1_000_000_000_000n;
    const clock = mock.method(process.hrtime, 'bigint', () => nowNs);
    try {
      await work((ms) => {
        nowNs += BigInt(Math.round(ms * 1e6));
      });
    } finally {
      clock.mock.restore();
    }
  };
}

const started: RunningServer = { pid: 7, sinceMs: 1_000_000, origin: 'started', startTicks: '1' };
const position = { kind: 'gtid', set: EMPTY_GTID_SET, timelines: [1], bytesPerTransaction: 0 } as const;

const replica = (receiver: Extract<EngineState, { kind: 'replica' }>['receiver']): EngineState => ({
  kind: 'replica',
  systemId: systemId('x'),
  position,
  replayed: position,
  upstream: receiver.kind === 'none' ? null : memberId('n2'),
  receiver,
});

class Server {
  running: RunningServer | null = started;
  answered: 'never' | 'once' = 'once';
  life: 'serving' | 'ending' = 'serving';
  readonly role = 'replica';
  failingMs = 0;
  readonly starts = new StartCount();
  disk: EngineState | Error = { kind: 'absent' };

  readonly server = ((mine: Server) => ({
    get running(): RunningServer | null {
      return mine.running;
    },
    check: (): 'running' | 'gone' => (mine.running === null ? 'gone' : 'running'),
  }))(this);

  readonly facts = { of: () => this };

  watch(): ServerWatch {
    return new ServerWatch({
      server: this.server,
      facts: this.facts,
      probe: { failingForMs: () => this.failingMs },
      starts: this.starts,
      log: () => undefined,
      dataDir: '/data',
      find: async () => this.running,
      lookAtDisk: async () => {
        if (this.disk instanceof Error) throw this.disk;
        return this.disk;
      },
      mayBeStarting: (_, error) => error instanceof Error && error.message === 'not yet',
      refusalOf: (error) => (error instanceof Error && error.message === 'no entry' ? 'no entry' : null),
    });
  }
}

const fails = (words: string) => async (): Promise<EngineState> => {
  throw new Error(words);
};
const sees = (state: EngineState) => async (): Promise<EngineState> => state;
const follows = replica({ kind: 'streaming', silentMs: 5 });

describe('a server whose looks fail', () => {
  it(
    'is what it was for three seconds, and hangs then',
    withClock(async (forwardMs) => {
      const watch = new Server().watch();
      assert.deepEqual(await watch.observe(sees(follows)), follows);
      assert.deepEqual(await watch.observe(fails('late')), follows);
      forwardMs(2999);
      assert.deepEqual(await watch.observe(fails('late')), follows);
      forwardMs(1);
      assert.deepEqual(await watch.observe(fails('late')), { kind: 'unresponsive', was: 'replica', sinceMs: 3000 });
      assert.deepEqual(await watch.observe(sees(follows)), follows);
      assert.deepEqual(await watch.observe(fails('late')), follows, 'and is counted anew');
    }),
  );

  it(
    'is not sealed by what was seen before: a receiver may have been started since',
    withClock(async (forwardMs) => {
      const watch = new Server().watch();
      await watch.observe(sees(replica({ kind: 'none' })));
      await watch.observe(fails('late'));
      forwardMs(40);
      const state = await watch.observe(fails('late'));
      assert.deepEqual(state.kind === 'replica' && state.receiver, { kind: 'streaming', silentMs: 40 });
    }),
  );

  it(
    'says why it lets nobody in, where it says so',
    withClock(async (forwardMs) => {
      const watch = new Server().watch();
      await watch.observe(fails('no entry'));
      forwardMs(3000);
      const state = await watch.observe(fails('no entry'));
      assert.equal(state.kind === 'unresponsive' && state.refusal, 'no entry');
    }),
  );

  it(
    'goes on starting as long as it says so, and no longer',
    withClock(async (forwardMs) => {
      const server = new Server();
      const watch = server.watch();
      server.answered = 'never';
      forwardMs(60_000);
      assert.deepEqual(await watch.observe(fails('not yet')), { kind: 'starting', sinceMs: 60_000 });
      assert.equal((await watch.observe(fails('silence'))).kind, 'starting');
      forwardMs(3000);
      assert.equal((await watch.observe(fails('silence'))).kind, 'unresponsive');
    }),
  );

  it(
    'is what it was until an ordered stop ends, and after its end what its disk says',
    withClock(async (forwardMs) => {
      const server = new Server();
      const watch = server.watch();
      await watch.observe(sees(follows));
      server.life = 'ending';
      forwardMs(9000);
      assert.deepEqual(await watch.observe(fails('shutting down')), follows);
      server.running = null;
      assert.deepEqual(await watch.observe(fails('gone')), { kind: 'absent' });
      server.disk = new Error('EIO');
      const state = await watch.observe(fails('gone'));
      assert.match(state.kind === 'refused' ? state.problem : '', /data directory \/data cannot be read: EIO/);
    }),
  );

  it(
    'dies between two looks: what it was is not said of the next one',
    withClock(async () => {
      const server = new Server();
      const watch = server.watch();
      await watch.observe(sees(follows));
      server.running = { ...started, pid: 8 };
      assert.equal(watch.last(server.running), null);
      assert.equal((await watch.observe(fails('late'))).kind, 'starting');
    }),
  );

  it(
    'hangs for new connections, although the kept one answers',
    withClock(async () => {
      const server = new Server();
      const watch = server.watch();
      server.failingMs = 2999;
      assert.deepEqual(await watch.observe(sees(follows)), follows);
      server.failingMs = 3400;
      assert.deepEqual(await watch.observe(sees(follows)), { kind: 'unresponsive', was: 'replica', sinceMs: 3400 });
      // Then the kept one fails too, and the time goes on from there.
      assert.deepEqual(await watch.observe(fails('late')), { kind: 'unresponsive', was: 'replica', sinceMs: 3400 });
    }),
  );

  it('tells of starts that failed while it is stopped', async () => {
    const server = new Server();
    server.running = null;
    server.disk = { kind: 'stopped', shutdown: 'clean', systemId: systemId('x'), position: null };
    server.starts.failed('unknown', 'words');
    const state = await server.watch().observe(fails('never asked'));
    assert.equal(state.kind === 'stopped' && state.startFailures?.times, 1);
  });
});

describe('the probe', () => {
  const probe = (server: Server, answers: Probed[]): { readonly probe: Probe; readonly looks: () => number } => {
    let looks = 0;
    const subject = {
      server: server.server,
      facts: server.facts,
      look: async () => {
        looks += 1;
        return answers.shift() ?? { result: 'well' as const, trouble: null };
      },
      forget: () => undefined,
    };
    return { probe: new Probe(subject), looks: () => looks };
  };
  const failing: Probed = { result: 'failing', trouble: null };

  it(
    'counts from the first of several failures; one alone may be our own pause',
    withClock(async (forwardMs) => {
      const { probe: looking } = probe(new Server(), [failing, failing]);
      await looking.look();
      forwardMs(400);
      assert.equal(looking.failingForMs(), 0);
      await looking.look();
      forwardMs(100);
      assert.equal(looking.failingForMs(), 500);
      await looking.look();
      assert.equal(looking.failingForMs(), 0);
    }),
  );

  it('asks nothing of a server that starts, stops or is gone, and forgets what failed before', async () => {
    for (const change of [{ answered: 'never' }, { life: 'ending' }, { running: null }] as const) {
      const server = new Server();
      const { probe: looking, looks } = probe(server, [failing, failing, failing]);
      await looking.look();
      await looking.look();
      Object.assign(server, change);
      await looking.look();
      assert.equal(looks(), 2, JSON.stringify(change));
      assert.equal(looking.failingForMs(), 0);
    }
  });

  it('keeps what is wrong in a server that lives until it is well', async () => {
    const waiting: Probed = { result: 'waiting', trouble: 'logins hang' };
    const { probe: looking } = probe(new Server(), [waiting, failing]);
    assert.equal(await looking.look(), 'waiting');
    assert.equal(looking.trouble, 'logins hang');
    await looking.look();
    assert.equal(looking.trouble, 'logins hang');
    await looking.look();
    assert.equal(looking.trouble, null);
  });
});

describe('silence', () => {
  it('counts unchanged time, but not the time in which nobody looked', () => {
    const meter = new SilenceMeter<string>();
    const look = (nowMs: number, signature: string): number => {
      meter.look(nowMs);
      return meter.silentMs('a', signature);
    };
    assert.equal(look(0, 'x'), 0);
    assert.equal(look(250, 'x'), 250);
    assert.equal(look(500, 'x'), 500);
    assert.equal(look(60_500, 'x'), 500, 'this process stood still');
    assert.equal(look(60_750, 'x'), 750);
    assert.equal(look(61_000, 'y'), 0);
  });
});
