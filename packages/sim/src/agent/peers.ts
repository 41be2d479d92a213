import type { LiveState, PeerView } from '@understudy/core';
import type { NodeIndex, SimNet } from '../net/net.ts';
import type { Random } from '../time/random.ts';
import type { Scheduler } from '../time/scheduler.ts';

/** What one agent process published last. */
interface Publication {
  readonly live: LiveState;
  /** Which process of its host said it. */
  readonly life: number;
  readonly sequence: number;
  readonly at: number;
}

/** What the stream needs to know of the hosts at its ends. */
export interface PeerHosts {
  readonly size: number;
  isHostUp(node: NodeIndex): boolean;
  isAgentAlive(node: NodeIndex): boolean;
  /** Wakes the agent of `node`: something that matters has arrived. */
  wake(node: NodeIndex): void;
}

interface Heard {
  publication: Publication | null;
  /** The newest publication that the listener has looked at. */
  seen: number;
  /** When the listener, in its running time, last heard something new. */
  atRun: number;
  refusingSinceRun: number | null;
  /** A broken stream needs a moment to be set up again. */
  blockedUntil: number;
}

const FRESH_MS = 750;

/**
 * The streams of live state between agents. Routine publications cost no event: the listener works out, when it looks, which was the
 * newest that can have reached it. Only what changes something wakes the others.
 */
export class SimPeers {
  readonly #scheduler: Scheduler;
  readonly #net: SimNet;
  readonly #random: Random;
  readonly #hosts: PeerHosts;
  readonly #published: (Publication | null)[];
  readonly #before: (Publication | null)[];
  readonly #heard: Heard[];
  readonly #lives: number[];
  #sequence = 0;

  constructor(scheduler: Scheduler, net: SimNet, random: Random, hosts: PeerHosts) {
    this.#scheduler = scheduler;
    this.#net = net;
    this.#random = random;
    this.#hosts = hosts;
    this.#published = Array.from({ length: hosts.size }, () => null);
    this.#before = Array.from({ length: hosts.size }, () => null);
    this.#heard = Array.from({ length: hosts.size * hosts.size }, () => newHeard());
    this.#lives = Array.from({ length: hosts.size }, () => 0);
    net.onChange((from, to) => {
      this.#linkChanged(from, to);
    });
  }

  /** `node`'s agent says how it is. */
  publish(node: NodeIndex, live: LiveState): void {
    const previous = this.#published[node] ?? null;
    this.#sequence += 1;
    this.#before[node] = previous;
    this.#published[node] = { live, life: this.#lifeOf(node), sequence: this.#sequence, at: this.#scheduler.now };
    if (previous !== null && !differs(previous.live, live)) return;
    for (let to = 0; to < this.#hosts.size; to++) {
      if (to === node || !this.#connected(node, to)) continue;
      this.#scheduler.after(this.#net.delayMs() + 0.2, () => {
        if (this.#connected(node, to)) this.#hosts.wake(to);
      });
    }
  }

  /** An agent process ended: its connections close, which the others notice at once where the network lets them. */
  agentEnded(node: NodeIndex): void {
    this.#lives[node] = this.#lifeOf(node) + 1;
    this.#before[node] = null;
    this.#published[node] = null;
    for (let other = 0; other < this.#hosts.size; other++) {
      this.#heard[other * this.#hosts.size + node] = newHeard();
      if (other === node || !this.#connected(node, other)) continue;
      this.#scheduler.after(this.#net.delayMs(), () => {
        this.#hosts.wake(other);
      });
    }
  }

  /** How `to` sees `from` now; `runMs` is the running time of the listener. */
  view(from: NodeIndex, to: NodeIndex, runMs: number): PeerView {
    const heard = this.#at(from, to);
    if (this.#connected(from, to) && !this.#hosts.isAgentAlive(from)) {
      heard.refusingSinceRun ??= runMs;
      const last = heard.publication?.live ?? null;
      return { kind: 'refusing', last, forMs: runMs - heard.refusingSinceRun };
    }
    heard.refusingSinceRun = null;
    this.#receive(heard, from, to);
    const { publication } = heard;
    if (publication !== null && publication.sequence !== heard.seen) {
      heard.seen = publication.sequence;
      heard.atRun = runMs;
    }
    const silentMs = runMs - heard.atRun;
    if (publication !== null && this.#connected(from, to) && publication.life !== this.#lifeOf(from)) {
      // The next process answers, and has said nothing yet.
      return { kind: 'silent', last: publication.live, silentMs };
    }
    if (publication === null || silentMs > FRESH_MS) {
      return { kind: 'silent', last: publication?.live ?? null, silentMs };
    }
    return { kind: 'fresh', live: publication.live, silentMs };
  }

  #receive(heard: Heard, from: NodeIndex, to: NodeIndex): void {
    const { now } = this.#scheduler;
    if (!this.#connected(from, to) || now < heard.blockedUntil) return;
    const newest = this.#published[from] ?? null;
    const before = this.#before[from] ?? null;
    if (newest !== null && newest.at + 0.5 <= now) heard.publication = newest;
    else if (before !== null) heard.publication = before;
  }

  /** A stream is a TCP connection: it needs both directions. */
  #connected(from: NodeIndex, to: NodeIndex): boolean {
    return this.#hosts.isHostUp(from) && this.#net.passes(from, to) && this.#net.passes(to, from);
  }

  #linkChanged(a: NodeIndex, b: NodeIndex): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const heard = this.#at(from, to);
      if (this.#net.passes(from, to) && this.#net.passes(to, from)) {
        heard.blockedUntil = this.#scheduler.now + this.#random.between(20, 400);
      }
    }
  }

  #lifeOf(node: NodeIndex): number {
    return this.#lives[node] ?? 0;
  }

  #at(from: NodeIndex, to: NodeIndex): Heard {
    const index = from * this.#hosts.size + to;
    let heard = this.#heard[index];
    if (heard === undefined) {
      heard = newHeard();
      this.#heard[index] = heard;
    }
    return heard;
  }
}

function newHeard(): Heard {
  return { publication: null, seen: -1, atRun: 0, refusingSinceRun: null, blockedUntil: 0 };
}

/** Whether the others should hear of it at once. */
function differs(a: LiveState, b: LiveState): boolean {
  if (a.suspects !== b.suspects || a.epoch !== b.epoch || a.engine.kind !== b.engine.kind) return true;
  if (a.engine.kind !== 'replica' || b.engine.kind !== 'replica') return false;
  if (a.engine.upstream !== b.engine.upstream || a.engine.receiver.kind !== b.engine.receiver.kind) return true;
  return (a.engine.position === null) !== (b.engine.position === null);
}
