import type { Random } from '../time/random.ts';

/** Which host: 0, 1, … in the order of the members. */
export type NodeIndex = number;

export interface NetParameters {
  /** Usual one-way delay between two hosts. */
  readonly linkMs: number;
  /** Mean of the exponential addition to it. */
  readonly jitterMs: number;
  /** Share of messages that take up to `spikeMs` longer. */
  readonly spikeShare: number;
  readonly spikeMs: number;
}

/**
 * Directed links between hosts, from each host to the store and back, and from the clients. A link is cut while at least one
 * fault cuts it. What was sent into a cut is held back by TCP, not lost: listeners are told when a link heals.
 */
export class SimNet {
  readonly #size: number;
  readonly #random: Random;
  readonly #parameters: NetParameters;
  readonly #cuts: Int16Array;
  readonly #toStore: Int16Array;
  readonly #fromStore: Int16Array;
  readonly #clients: Int16Array;
  readonly #listeners: ((from: NodeIndex, to: NodeIndex) => void)[] = [];

  constructor(size: number, parameters: NetParameters, random: Random) {
    this.#size = size;
    this.#parameters = parameters;
    this.#random = random;
    this.#cuts = new Int16Array(size * size);
    this.#toStore = new Int16Array(size);
    this.#fromStore = new Int16Array(size);
    this.#clients = new Int16Array(size);
  }

  /** Called with both ends whenever a link between two hosts is cut or heals. */
  onChange(listener: (from: NodeIndex, to: NodeIndex) => void): void {
    this.#listeners.push(listener);
  }

  passes(from: NodeIndex, to: NodeIndex): boolean {
    return this.#cuts[from * this.#size + to] === 0;
  }

  passesToStore(node: NodeIndex): boolean {
    return this.#toStore[node] === 0;
  }

  passesFromStore(node: NodeIndex): boolean {
    return this.#fromStore[node] === 0;
  }

  clientsReach(node: NodeIndex): boolean {
    return this.#clients[node] === 0;
  }

  cut(from: NodeIndex, to: NodeIndex): void {
    this.#change(this.#cuts, from * this.#size + to, 1);
    for (const listener of this.#listeners) listener(from, to);
  }

  heal(from: NodeIndex, to: NodeIndex): void {
    this.#change(this.#cuts, from * this.#size + to, -1);
    for (const listener of this.#listeners) listener(from, to);
  }

  /** Moves the count of cuts of one of the store's or the clients' links by `delta`. */
  shiftStore(node: NodeIndex, direction: 'to' | 'from', delta: 1 | -1): void {
    this.#change(direction === 'to' ? this.#toStore : this.#fromStore, node, delta);
  }

  shiftClients(node: NodeIndex, delta: 1 | -1): void {
    this.#change(this.#clients, node, delta);
  }

  /** One-way delay of the next message. */
  delayMs(): number {
    const { linkMs, jitterMs, spikeShare, spikeMs } = this.#parameters;
    const random = this.#random;
    const base = linkMs + random.next() * jitterMs;
    return spikeShare > 0 && random.next() < spikeShare ? base + random.next() * spikeMs : base;
  }

  #change(counts: Int16Array, index: number, delta: 1 | -1): void {
    counts[index] = (counts[index] ?? 0) + delta;
  }
}
