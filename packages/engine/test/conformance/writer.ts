import assert from 'node:assert/strict';
import { ALONE, contains } from '@understudy/core';
import type { ConformanceClient, ConformanceNode } from './harness.ts';
import type { Stage } from './steps.ts';

/** A client that writes one number after the other until it is told to stop or its server goes away. */
export class Writer {
  readonly acknowledged: number[] = [];
  readonly #client: ConformanceClient;
  #next: number;
  #wish: 'go' | 'stop' = 'go';
  readonly #done: Promise<void>;

  constructor(client: ConformanceClient, from: number) {
    this.#client = client;
    this.#next = from;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    while (this.#wish === 'go') {
      const value = this.#next++;
      const outcome = await this.#client.write(value, 1500).catch(() => 'unknown' as const);
      if (outcome !== 'acknowledged') return;
      this.acknowledged.push(value);
    }
  }

  async stop(): Promise<void> {
    this.#wish = 'stop';
    await this.#done;
  }
}

/** Opens the node that is furthest and looks whether it has every acknowledged number. */
export async function assertHolds(stage: Stage, sealed: readonly ConformanceNode[], acknowledged: readonly number[]) {
  const held = await Promise.all(sealed.map(async (node) => ({ node, position: await stage.position(node) })));
  const best = held.find((one) => held.every((other) => contains(one.position, other.position)));
  assert(best !== undefined, 'one of the sealed nodes holds everything');
  await stage.promote(best.node, ALONE);
  const found = new Set(await (await stage.connect(best.node)).read());
  assert.deepEqual(
    acknowledged.filter((value) => !found.has(value)),
    [],
    'acknowledged writes that are missing',
  );
}
