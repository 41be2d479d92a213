/** The guard's process alone, with the test as its agent and a sleeping process as the server. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { monotonicMs } from '@understudy/base';
import { isAlive, type ProcessName, processName } from '@understudy/base/processes';
import { stateOf } from '../src/guard/proc.ts';
import { type FromGuard, Lines, line, parseFromGuard, type ToGuard } from '../src/guard/protocol.ts';
import { eventually } from './support/eventually.ts';

const GUARD_MAIN = fileURLToPath(new URL('../src/guard/main.ts', import.meta.url));

function nameOf(child: ChildProcess): ProcessName {
  const name = child.pid === undefined ? null : processName(child.pid);
  assert.ok(name !== null);
  return name;
}

function started(context: TestContext, program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, [...args], { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  return child;
}

/** What an agent says to its guard, and hears. */
class Voice {
  readonly #socket: Socket;
  readonly #heard: FromGuard[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    const lines = new Lines((text) => {
      const message = parseFromGuard(text);
      if (message !== null) this.#heard.push(message);
    });
    socket.on('data', (text: string) => lines.push(text));
    socket.on('error', () => undefined);
  }

  say(message: ToGuard): void {
    this.#socket.write(line(message));
  }

  /** Resolves when the guard has answered a question with that number. */
  async answered(to: number): Promise<void> {
    await eventually(`answer ${to}`, () =>
      this.#heard.some((each) => each.kind === 'answer' && each.to === to) ? true : null,
    );
  }
}

interface Scene {
  readonly guard: ChildProcess;
  readonly server: ProcessName;
  readonly agent: () => Promise<Voice>;
}

async function sceneFor(context: TestContext): Promise<Scene> {
  const runDir = await mkdtemp(join(tmpdir(), 'us-guard-'));
  context.after(() => rm(runDir, { recursive: true, force: true }));
  const guard = started(context, process.execPath, [GUARD_MAIN, runDir]);
  const server = nameOf(started(context, 'sleep', ['600']));
  const agent = () =>
    eventually('connected', async () => {
      const socket = connect(join(runDir, 'guard.sock'));
      context.after(() => socket.destroy());
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      const voice = new Voice(socket);
      const self = processName(process.pid);
      assert.ok(self !== null);
      voice.say({ kind: 'hello', agent: self, restart: 'no' });
      return voice;
    });
  return { guard, server, agent };
}

const passed = (untilMs: number) => eventually('time passed', () => (monotonicMs() > untilMs ? true : null));

describe('a guard that was frozen', { timeout: 60_000 }, () => {
  it('reads what its agent has said meanwhile before it enforces a deadline', async (context) => {
    const { guard, server, agent } = await sceneFor(context);
    const voice = await agent();
    const untilMs = monotonicMs() + 1_000;
    voice.say({ kind: 'beat', server, untilMs, certainty: 'decided', ask: 1 });
    await voice.answered(1);
    guard.kill('SIGSTOP');
    await eventually('stopped', () => (stateOf(nameOf(guard)) === 'T' ? true : null));
    voice.say({ kind: 'beat', server, untilMs: untilMs + 60_000, certainty: 'decided', ask: 2 });
    await passed(untilMs + 500);
    guard.kill('SIGCONT');
    await voice.answered(2);
    voice.say({ kind: 'beat', server, untilMs: untilMs + 60_000, certainty: 'decided', ask: 3 });
    await voice.answered(3);
    assert.ok(isAlive(server), 'a server whose time was extended is left alone');
  });

  it('still kills a server whose time nobody has extended', async (context) => {
    const { guard, server, agent } = await sceneFor(context);
    const voice = await agent();
    const untilMs = monotonicMs() + 300;
    voice.say({ kind: 'beat', server, untilMs, certainty: 'decided', ask: null });
    guard.kill('SIGSTOP');
    await passed(untilMs + 500);
    guard.kill('SIGCONT');
    await eventually('killed', () => (isAlive(server) ? null : true));
  });
});

describe('a new agent beside a running primary', { timeout: 60_000 }, () => {
  it('gives it no more time than the agent before had decided, until it has decided itself', async (context) => {
    const { server, agent } = await sceneFor(context);
    const first = await agent();
    const untilMs = monotonicMs() + 1_500;
    first.say({ kind: 'beat', server, untilMs, certainty: 'decided', ask: 1 });
    await first.answered(1);
    const second = await agent();
    second.say({ kind: 'beat', server: null, untilMs: null, certainty: 'undecided', ask: 2 });
    second.say({ kind: 'beat', server, untilMs: untilMs + 60_000, certainty: 'undecided', ask: 3 });
    await second.answered(3);
    await eventually('killed at the old end', () => (isAlive(server) ? null : true), 20_000);
    assert.ok(monotonicMs() >= untilMs, 'and not before');
  });

  it('gives it the time that it decides', async (context) => {
    const { server, agent } = await sceneFor(context);
    const first = await agent();
    const untilMs = monotonicMs() + 1_000;
    first.say({ kind: 'beat', server, untilMs, certainty: 'decided', ask: 1 });
    await first.answered(1);
    const second = await agent();
    second.say({ kind: 'beat', server, untilMs: untilMs + 60_000, certainty: 'decided', ask: 2 });
    await second.answered(2);
    await passed(untilMs + 300);
    second.say({ kind: 'beat', server, untilMs: untilMs + 60_000, certainty: 'decided', ask: 3 });
    await second.answered(3);
    assert.ok(isAlive(server));
  });
});
