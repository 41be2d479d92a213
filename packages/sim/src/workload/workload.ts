import type { World } from '../run/world.ts';
import { write } from '../server/lifecycle.ts';
import type { SimServer } from '../server/server.ts';
import { type Random, randomFor } from '../time/random.ts';

const BURST_MS = 1500;

/**
 * Clients that write a few times a second through every node that takes writes, also through one that the rest of the cluster has
 * long given up: a client that is connected directly to an isolated old primary is the one that loses data elsewhere.
 */
export class Workload {
  readonly counts = { tried: 0, refused: 0 };
  readonly #world: World;
  readonly #random: Random;
  #running = true;
  #burstUntil = 0;
  #bursting = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = randomFor(world.scenario.seed, 'workload');
  }

  start(): void {
    this.#next();
  }

  stop(): void {
    this.#running = false;
  }

  /** Something has happened: the clients all try again. */
  stir(): void {
    const { scheduler, scenario } = this.#world;
    if (scenario.burstPerSecond === 0) return;
    this.#burstUntil = scheduler.now + BURST_MS;
    if (this.#bursting) return;
    this.#bursting = true;
    this.#burst();
  }

  #burst(): void {
    const { scheduler, scenario } = this.#world;
    scheduler.after(this.#random.exponential(1000 / scenario.burstPerSecond), () => {
      this.#bursting = this.#running && scheduler.now < this.#burstUntil;
      if (!this.#bursting) return;
      this.#write();
      this.#burst();
    });
  }

  #next(): void {
    const meanMs = 1000 / this.#world.scenario.writesPerSecond;
    this.#world.scheduler.after(this.#random.exponential(meanMs), () => {
      if (!this.#running) return;
      this.#write();
      this.#next();
    });
  }

  #write(): void {
    this.counts.tried += 1;
    const bytes = 1 + this.#random.int(this.#world.scenario.writeBytes * 2);
    const server = this.#pick();
    if (server === null || !write(server, bytes)) this.counts.refused += 1;
  }

  /** One of the nodes that take writes; a frozen one does not answer, a hung one still serves those who are connected. */
  #pick(): SimServer | null {
    let picked: SimServer | null = null;
    let seen = 0;
    for (const server of this.#world.servers) {
      if (server.process !== 'primary' || server.frozen || !this.#world.net.clientsReach(server.index)) continue;
      seen += 1;
      if (picked === null || this.#random.next() * seen < 1) picked = server;
    }
    return picked;
  }
}
