// Which command runs when, what it does to the work under way, and what a fence, the end of the engine and the death of the server do to either.
// Method: an adapter without a server, whose verbs go on until the test ends them, so that every command meets every job.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { memberId } from '@understudy/core';
import { ServerEngine } from '../src/host/index.ts';
import { EngineError } from '../src/index.ts';
import { commands, context, FakeAdapter, fence } from './support/fake-adapter.ts';

type Name = keyof typeof commands;

const jobs = [
  'initialize',
  'start',
  'stop orderly',
  'stop handover',
  'restart',
  'clone',
  'rewind',
  'checkpoint',
  'provision',
  'promote',
] as const satisfies readonly Name[];
const shorts = ['seal', 'follow', 'set-ack-rule', 'promote'] as const satisfies readonly Name[];

/** The verb that a command leads to first; a restart looks first whether the server would start again. */
const verbs: Readonly<Partial<Record<Name, string>>> = { restart: 'rehearse' };
const verbOf = (name: Name): string => verbs[name] ?? name;
/** The verb that goes on while the job is under way. */
const jobVerbOf = (name: Name): string => (name === 'promote' ? 'opening' : verbOf(name));

/** Lets everything happen that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await turnOfLoop();
}

function make(): { readonly fake: FakeAdapter; readonly engine: ServerEngine } {
  const fake = new FakeAdapter();
  return { fake, engine: new ServerEngine(fake, { shortOpeningMs: 1, patienceMs: 20 }) };
}

/** An engine whose job is under way. */
async function during(job: Name): Promise<ReturnType<typeof make>> {
  const { fake, engine } = make();
  fake.quick.add('promote');
  await engine.execute(commands[job], context);
  await settle();
  fake.quick.delete('promote');
  assert.ok(fake.held.has(jobVerbOf(job)), `${job} is under way: ${fake.calls.join(', ')}`);
  assert.notEqual(engine.job(), null);
  return { fake, engine };
}

/** Begins a command, and says how it went so far. */
function attempt(engine: ServerEngine, name: Name | 'fence'): { result: 'pending' | 'done' | string } {
  const seen = { result: 'pending' };
  engine.execute(name === 'fence' ? fence : commands[name], context).then(
    () => {
      seen.result = 'done';
    },
    (error: unknown) => {
      seen.result = error instanceof EngineError ? error.code : String(error);
    },
  );
  return seen;
}

const times = (fake: FakeAdapter, call: string): number => fake.calls.filter((each) => each === call).length;

// What becomes of a command (columns) while a job (rows) is under way. = it is what is asked for; + both go on; x the job is broken off, and the
// command runs; . the command is refused and has to wait.
const table = `
                initialize start  stop-orderly stop-handover restart clone rewind checkpoint provision seal follow set-ack-rule promote
initialize      =          .      .            .             .       .     .      .          .         .    .      .            .
start           .          =      x            x             .       .     .      .          .         .    .      .            .
stop-orderly    .          .      =            =             .       .     .      .          .         .    .      .            .
stop-handover   .          .      =            =             .       .     .      .          .         .    .      .            .
restart         .          .      .            .             =       .     .      .          .         .    .      .            .
clone           .          .      .            .             .       =     .      .          .         .    .      .            .
rewind          .          .      .            .             .       .     =      .          .         .    .      .            .
checkpoint      .          .      x            x             x       .     .      =          .         +    +      +            +
provision       .          .      x            x             x       .     .      .          =         +    +      +            +
promote         .          .      .            .             .       .     .      .          .         .    .      .            .
`;

const rows = table
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/\s+/));
const [columns = [], ...cells] = rows;
const names = [...jobs, 'seal', 'follow', 'set-ack-rule'] as const satisfies readonly Name[];
const nameOf = (text: string): Name => {
  const found = names.find((name) => name.replace(' ', '-') === text);
  assert.ok(found !== undefined, text);
  return found;
};

describe('a command while a job is under way', () => {
  it('has an outcome for every pair', () => {
    assert.deepEqual(columns.map(nameOf), Object.keys(commands));
    assert.deepEqual(
      cells.map(([job]) => nameOf(job ?? '')),
      jobs,
    );
  });

  for (const [rowName = '', ...outcomes] of cells) {
    const job = nameOf(rowName);
    for (const [index, expected] of outcomes.entries()) {
      const name = nameOf(columns[index] ?? '');
      const words = { '=': 'nothing is done twice', '+': 'both go on', x: 'the job makes way', '.': 'it has to wait' };
      it(`${name} during ${job}: ${words[expected as keyof typeof words]}`, async () => {
        const { fake, engine } = await during(job);
        const before = times(fake, verbOf(name));
        const seen = attempt(engine, name);
        await settle();
        const called = times(fake, verbOf(name)) - before;
        const goesOn = engine.job() !== null && fake.held.has(jobVerbOf(job));
        if (expected === '=') assert.deepEqual([seen.result, called, goesOn], ['done', 0, true]);
        if (expected === '.') assert.deepEqual([seen.result, called, goesOn], ['ENGINE_BUSY', 0, true]);
        if (expected === '+') assert.deepEqual([seen.result, called, goesOn], ['pending', 1, true]);
        if (expected === 'x') {
          assert.deepEqual([seen.result, called], ['done', 1]);
          assert.equal(engine.job()?.kind, 'stop', 'the job is the new one');
          assert.deepEqual(engine.takeFailures(), [], 'what made way has not failed');
        }
      });
    }
  }

  it('starts nothing that runs already, whatever else is done', async () => {
    const { fake, engine } = await during('checkpoint');
    fake.up();
    await engine.execute(commands.start, context);
    assert.equal(times(fake, 'start'), 0);
  });

  it('is refused without its source, and a rewind where the engine cannot', async () => {
    const { engine, fake } = make();
    await assert.rejects(engine.execute({ kind: 'clone', from: memberId('nobody') }, context), {
      message: /nobody is not among the members/,
    });
    const cannot = new ServerEngine(Object.assign(fake, { rewind: null }));
    await assert.rejects(cannot.execute(commands.rewind, context), { code: 'ENGINE_REWIND_FAILED' });
  });
});

describe('a fence', { timeout: 20_000 }, () => {
  for (const job of jobs) {
    it(`waits for nothing during ${job}`, async () => {
      const { fake, engine } = await during(job);
      const { signal } = fake.held.get(jobVerbOf(job)) ?? {};
      const seen = attempt(engine, 'fence');
      assert.ok(fake.held.has('fence'), 'it has begun before anything else could happen');
      assert.ok(fake.calls.includes('copies.end fence'));
      assert.notEqual(signal?.aborted, false, 'what can be broken off is');
      fake.end('fence');
      await settle();
      assert.equal(seen.result, 'done');
      assert.deepEqual(engine.takeFailures(), []);
    });
  }

  for (const name of shorts) {
    it(`waits for nothing while ${name} hangs`, async () => {
      const { fake, engine } = make();
      const hangs = attempt(engine, name);
      await settle();
      const seen = attempt(engine, 'fence');
      assert.ok(fake.held.has('fence'));
      fake.end('fence');
      await settle();
      assert.equal(seen.result, 'done');
      assert.equal(hangs.result, 'pending');
      fake.end(verbOf(name));
    });
  }
});

describe('commands', () => {
  for (const name of shorts) {
    it(`are carried out one at a time, in the order given: after ${name}`, async () => {
      const { fake, engine } = make();
      fake.quick.add('opening');
      const first = attempt(engine, name);
      const second = attempt(engine, name === 'seal' ? 'follow' : 'seal');
      await settle();
      assert.deepEqual([...fake.held.keys()], [verbOf(name)]);
      fake.held.get(verbOf(name))?.fail(new Error('it failed'));
      await settle();
      assert.equal(first.result, 'ENGINE_INTERNAL');
      assert.deepEqual([...fake.held.keys()], [name === 'seal' ? 'follow' : 'seal'], 'a failure keeps nobody waiting');
      assert.equal(second.result, 'pending');
    });
  }

  it('fail as a job when they take long, and the failure is kept until somebody asks', async () => {
    const { fake, engine } = await during('clone');
    let changes = 0;
    engine.onChange(() => {
      changes += 1;
    });
    fake.held.get('clone')?.fail(new Error('the disk is full'));
    await settle();
    assert.equal(engine.job(), null);
    assert.equal(changes, 1);
    const [failure] = engine.takeFailures();
    assert.equal(failure?.command, 'clone');
    assert.equal(failure?.error.code, 'ENGINE_DISK_FULL');
    assert.deepEqual(engine.takeFailures(), []);
  });

  it('that open a server take the place of what only writes when they take long', async () => {
    for (const job of ['checkpoint', 'provision'] as const) {
      const { fake, engine } = await during(job);
      fake.quick.add('promote');
      await engine.execute(commands.promote, context);
      assert.equal(engine.job()?.kind, 'promote', job);
      fake.end(job);
      await settle();
      assert.equal(engine.job()?.kind, 'promote', 'the end of what made way is not that of the opening');
      fake.held.get('opening')?.fail(new EngineError('ENGINE_PROMOTE_FAILED', 'no', { retry: 'safe' }));
      await settle();
      assert.equal(engine.takeFailures()[0]?.error.code, 'ENGINE_PROMOTE_FAILED');
    }
  });

  it('that open a server in time are no job, and fail at once', async () => {
    const fake = new FakeAdapter();
    const engine = new ServerEngine(fake);
    fake.quick.add('promote');
    const seen = attempt(engine, 'promote');
    await settle();
    assert.equal(engine.job(), null);
    fake.held.get('opening')?.fail(new EngineError('ENGINE_PROMOTE_FAILED', 'no', { retry: 'safe' }));
    await settle();
    assert.equal(seen.result, 'ENGINE_PROMOTE_FAILED');
    assert.deepEqual(engine.takeFailures(), []);
  });

  it('restart what would start again, and leave the rest running', async () => {
    const { fake, engine } = await during('restart');
    fake.held.get('rehearse')?.fail(new EngineError('ENGINE_START_FAILED', 'wrong parameter'));
    await settle();
    assert.equal(engine.takeFailures()[0]?.error.code, 'ENGINE_START_FAILED');
    assert.equal(times(fake, 'stop orderly'), 0);
    const again = await during('restart');
    for (const verb of ['rehearse', 'stop orderly', 'start']) {
      again.fake.end(verb);
      await settle();
    }
    assert.equal(again.engine.job(), null);
    assert.deepEqual(again.engine.takeFailures(), []);
  });
});

describe('the end of the engine', { timeout: 20_000 }, () => {
  for (const job of jobs) {
    it(`leaves no ${job} under way that could still do something`, async () => {
      const { fake, engine } = await during(job);
      const { signal } = fake.held.get(jobVerbOf(job)) ?? {};
      const closed = engine.close('leave-running');
      await settle();
      assert.notEqual(signal?.aborted, false, 'what can be broken off is');
      const begun = fake.calls.filter((call) => !/ ended$|^(sql|kept|probe)\.|^copies|^detach/.test(call)).length;
      // A stop that was begun is waited for, and so is the look before a restart.
      for (const verb of ['stop orderly', 'stop handover', 'rehearse']) if (fake.held.has(verb)) fake.end(verb);
      await closed;
      await settle();
      assert.equal(engine.job(), null);
      for (const name of [...names, 'fence'] as const) {
        const seen = attempt(engine, name);
        await settle();
        assert.equal(seen.result, 'ENGINE_INTERNAL', name);
      }
      await engine.maintain(context);
      for (const held of fake.held.values()) held.fail(new Error('the connection was closed'));
      await settle();
      assert.deepEqual(engine.takeFailures(), []);
      const after = fake.calls.filter((call) => !/ ended$|^(sql|kept|probe)\.|^copies|^detach/.test(call)).length;
      assert.equal(after, begun, `nothing begins any more: ${fake.calls.join(', ')}`);
    });
  }

  for (const name of shorts) {
    it(`waits for ${name} that ends soon, and no longer for one that hangs; what waits behind it is not done`, async () => {
      for (const ending of ['soon', 'never'] as const) {
        const { fake, engine } = make();
        const first = attempt(engine, name);
        const second = attempt(engine, 'start');
        await settle();
        const closed = engine.close('leave-running');
        await settle();
        assert.ok(!fake.calls.includes('sql.close'), 'its connection is not taken from it at once');
        if (ending === 'soon') fake.end(verbOf(name));
        if (ending === 'soon' && name === 'promote') {
          await settle();
          fake.end('opening');
        }
        await closed;
        assert.equal(first.result, ending === 'soon' ? 'done' : 'pending');
        for (const held of fake.held.values()) held.fail(new EngineError('ENGINE_UNREACHABLE', 'cut'));
        await settle();
        assert.equal(second.result, 'ENGINE_INTERNAL', 'a command that had to wait');
        assert.ok(!fake.calls.includes('start'));
      }
    });
  }

  it('stops the server in order, and kills one that does not stop; a fence waits for neither', async () => {
    const { fake, engine } = make();
    fake.up();
    const closed = engine.close('stop');
    assert.equal(engine.close('stop'), closed, 'the end comes once');
    await settle();
    assert.ok(fake.held.has('stop orderly'));
    const refused = attempt(engine, 'start');
    await settle();
    assert.equal(refused.result, 'ENGINE_INTERNAL');
    const fenced = attempt(engine, 'fence');
    assert.ok(fake.held.has('fence'));
    fake.end('fence');
    fake.held.get('stop orderly')?.fail(new EngineError('ENGINE_STOP_TIMEOUT', 'it hangs'));
    await settle();
    assert.equal(fenced.result, 'done');
    fake.end('kill');
    await closed;
    assert.deepEqual(fake.calls.slice(-3), ['kill ended', 'sql.close', 'detach']);
  });

  it('waits for maintenance, of which no more is begun', async () => {
    const { fake, engine } = make();
    const work = engine.maintain(context);
    await settle();
    const closed = engine.close('leave-running');
    await settle();
    fake.end('configure');
    await Promise.all([work, closed]);
    assert.equal(times(fake, 'maintain'), 0);
  });
});

describe('the death of the server', () => {
  for (const job of jobs) {
    it(`is told at once during ${job}`, async () => {
      const { fake, engine } = await during(job);
      fake.up();
      let changes = 0;
      engine.onChange(() => {
        changes += 1;
      });
      fake.die();
      assert.equal(changes, 1);
      assert.ok(fake.calls.includes('probe.reset'));
      assert.notEqual(engine.job(), null, 'the job itself says how it ends');
      fake.held.get(jobVerbOf(job))?.fail(new EngineError('ENGINE_UNREACHABLE', 'gone'));
      await settle();
      assert.equal(engine.takeFailures()[0]?.error.code, 'ENGINE_UNREACHABLE');
      assert.equal(engine.job(), null);
      assert.equal(changes, 2);
    });
  }

  for (const name of shorts) {
    it(`leaves ${name} to its own deadline, and the next command to its turn`, async () => {
      const { fake, engine } = make();
      fake.up();
      const seen = attempt(engine, name);
      await settle();
      fake.die();
      fake.held.get(verbOf(name))?.fail(new EngineError('ENGINE_UNREACHABLE', 'gone'));
      await settle();
      assert.equal(seen.result, 'ENGINE_UNREACHABLE');
      await engine.execute(commands.start, context);
      await settle();
      assert.ok(fake.held.has('start'));
    });
  }

  it('may be what a cut connection means', () => {
    const { fake, engine } = make();
    let changes = 0;
    engine.onChange(() => {
      changes += 1;
    });
    fake.cut();
    assert.equal(changes, 1);
  });
});

describe('maintenance', () => {
  it('is left out while data or a server is replaced, and goes on beside what only writes', async () => {
    for (const job of jobs) {
      const { fake, engine } = await during(job);
      const work = engine.maintain(context);
      await settle();
      const isHarmless = job === 'checkpoint' || job === 'provision';
      assert.equal(fake.held.has('maintain'), isHarmless, job);
      assert.equal(times(fake, 'configure'), 0, 'what changes the server waits for every job');
      if (isHarmless) fake.end('maintain');
      await work;
    }
  });

  it('goes on beside a part of it that fails, which is told in the end', async () => {
    const { fake, engine } = make();
    const work = engine.maintain(context);
    await settle();
    fake.held.get('configure')?.fail(new Error('no connection'));
    await settle();
    assert.ok(fake.held.has('maintain'));
    fake.end('maintain');
    await assert.rejects(work, /no connection/);
  });

  it('changes what is received in turn with the commands, and is done once at a time', async () => {
    const { fake, engine } = make();
    const sealed = attempt(engine, 'seal');
    await settle();
    const work = [engine.maintain(context), engine.maintain(context)];
    await settle();
    assert.equal(times(fake, 'configure'), 0, 'a seal is under way');
    fake.end('seal');
    await settle();
    assert.equal(sealed.result, 'done');
    const again = attempt(engine, 'seal');
    await settle();
    assert.equal(times(fake, 'configure'), 1);
    assert.equal(times(fake, 'seal'), 1, 'the next seal comes after it');
    fake.end('configure');
    await settle();
    assert.ok(fake.held.has('seal'));
    fake.end('maintain');
    fake.end('seal');
    await Promise.all(work);
    await settle();
    assert.equal(again.result, 'done');
    assert.equal(times(fake, 'maintain'), 1);
  });
});

describe('a copy for another member', () => {
  it('is refused while data or a server is replaced, and without a server', async () => {
    const request = { member: memberId('n2'), engine: 'fake', version: '1' };
    const send = (engine: ServerEngine) =>
      engine.sendCopy?.(request, new PassThrough(), new AbortController().signal) ?? Promise.resolve();
    for (const job of jobs) {
      const { fake, engine } = await during(job);
      fake.up();
      const isHarmless = job === 'checkpoint' || job === 'provision';
      if (!isHarmless) await assert.rejects(send(engine), { code: 'ENGINE_BUSY' }, job);
      else {
        const work = send(engine);
        await settle();
        fake.end('send');
        await work;
      }
    }
    await assert.rejects(send(make().engine), { code: 'ENGINE_CLONE_FAILED' });
  });
});
