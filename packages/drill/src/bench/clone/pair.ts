import { randomBytes } from 'node:crypto';
import { chown, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addMs, monotonicMs, pause } from '@understudy/base';
import {
  ALONE,
  DEFAULT_TAGS,
  type EngineCommand,
  type EngineState,
  epoch,
  KEEP_END,
  type Member,
  memberId,
} from '@understudy/core';
import type { ClusterContext, Engine } from '@understudy/engine';
import { removeTree } from '@understudy/engine/host';
import { serverUser } from '@understudy/servers';

/** One database server of the benchmark, driven by its engine without an agent. */
export interface Place {
  readonly name: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly port: number;
}

export type MakeEngine = (place: Place, root: string, secret: string) => Promise<Engine>;

const longestMs = 1_800_000;

/** A leader, and a second engine with nothing yet, in a folder that `close` removes. */
export class Pair {
  readonly root: string;
  /** Password of every account. */
  readonly secret = randomBytes(12).toString('hex');
  readonly source: Place;
  readonly target: Place;
  #engines: readonly Engine[] = [];

  private constructor(root: string, ports: readonly [number, number]) {
    this.root = root;
    this.source = placeOf(root, 'n1', ports[0]);
    this.target = placeOf(root, 'n2', ports[1]);
  }

  /** @throws whatever the engine's start does; nothing is left then */
  static async open(make: MakeEngine): Promise<Pair> {
    const root = await mkdtemp(join(tmpdir(), 'us-clone-'));
    const user = serverUser();
    if (user !== null) await chown(root, user.uid, user.gid);
    const pair = new Pair(root, [await freePort(), await freePort()]);
    try {
      await pair.#start(make);
    } catch (error) {
      await pair.close();
      throw error;
    }
    return pair;
  }

  async #start(make: MakeEngine): Promise<void> {
    const engines = [
      await make(this.source, this.root, this.secret),
      await make(this.target, this.root, this.secret),
    ] as const;
    this.#engines = engines;
    await this.#run(0, { kind: 'initialize' });
    await this.#run(0, { kind: 'start', end: KEEP_END });
    await this.#until(0, (state) => state.kind === 'replica' && state.position !== null);
    const notAfter = addMs(monotonicMs(), 10_000);
    await this.#run(0, { kind: 'promote', epoch: epoch(1), timeline: 2, rule: ALONE, notAfter });
    await this.#run(0, { kind: 'provision' });
  }

  /** Copies the source with our engine, as often as it is called. @returns how long that took, in ms */
  async copy(): Promise<number> {
    const startedMs = monotonicMs();
    await this.#run(1, { kind: 'clone', from: memberId('n1') });
    const tookMs = monotonicMs() - startedMs;
    await removeTree(this.target.dataDir);
    return tookMs;
  }

  async #run(index: number, command: EngineCommand): Promise<void> {
    const engine = this.#engine(index);
    await engine.execute(command, this.#context(index));
    const endMs = monotonicMs() + longestMs;
    while (engine.job() !== null && monotonicMs() < endMs) await pause(10);
    const [failure] = engine.takeFailures();
    if (failure !== undefined) throw failure.error;
  }

  async #until(index: number, isThere: (state: EngineState) => boolean): Promise<void> {
    const endMs = monotonicMs() + 60_000;
    while (!isThere((await this.#engine(index).observe(new Map())).state)) {
      if (monotonicMs() > endMs) throw new Error(`${index === 0 ? 'the source' : 'the copy'} did not become ready`);
      await pause(20);
    }
  }

  #engine(index: number): Engine {
    const engine = this.#engines[index];
    if (engine === undefined) throw new Error('the engines were not made');
    return engine;
  }

  #context(index: number): ClusterContext {
    const members = [this.source, this.target].map((place): readonly [Member['id'], Member] => {
      const id = memberId(place.name);
      return [id, { id, apiUrl: 'http://127.0.0.1:1', host: '127.0.0.1', port: place.port, tags: DEFAULT_TAGS }];
    });
    const self = memberId(index === 0 ? 'n1' : 'n2');
    const rest = { positions: new Map(), parameters: {}, synchronousCommit: 'on', acknowledges: 'no' } as const;
    return { self, members: new Map(members), ...rest };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#engines.map((engine) => engine.close('stop')));
    await removeTree(this.root);
  }
}

function placeOf(root: string, name: string, port: number): Place {
  return { name, dataDir: join(root, name), runDir: join(root, `${name}.run`), port };
}

/** A port that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
