import type { ProcessInfo } from '@understudy/base/processes';
import { signalPid } from '@understudy/base/processes';
import { z } from 'zod';
import type { NodeCertificates } from './certificates.ts';
import { callHttps, readMaterial } from './https.ts';
import { waitForEnd } from './signals.ts';
import { type Program, Supervised, type SupervisedEvent } from './supervised.ts';

const callMs = 1000;
const killedWithinMs = 5000;

const statusSchema = z.object({ header: z.object({ member_id: z.string() }), leader: z.string().default('0') });

export interface EtcdMemberOptions {
  readonly program: Program;
  /** The node on whose host it runs; null: on none of theirs. */
  readonly node: string | null;
  /** Its client address. */
  readonly url: string;
  /** Null: not encrypted. */
  readonly certificates: NodeCertificates | null;
  readonly onEvent: (event: SupervisedEvent) => void;
}

/** Whom a member says it is, and whom it follows. */
export interface EtcdView {
  readonly id: string;
  readonly leader: string;
}

/** One member of a local cluster's etcd, as a child process. */
export class EtcdMember {
  readonly name: string;
  readonly node: string | null;
  readonly url: string;
  readonly log: string;
  readonly #certificates: NodeCertificates | null;
  readonly #supervised: Supervised;

  constructor({ program, node, url, certificates, onEvent }: EtcdMemberOptions) {
    this.name = program.name;
    this.node = node;
    this.url = url;
    this.log = program.log;
    this.#certificates = certificates;
    this.#supervised = new Supervised(program, onEvent);
  }

  /** The running process, or nothing. */
  get processes(): readonly ProcessInfo[] {
    const found = this.#supervised.process;
    return found === null ? [] : [found];
  }

  start(): void {
    this.#supervised.start();
  }

  /** Ends it at once, as when its host loses power. It is not started again before {@link start}. */
  async kill(): Promise<void> {
    this.#supervised.abandon();
    const running = this.processes;
    for (const { pid } of running) signalPid(pid, 'SIGKILL');
    await Promise.all(running.map((one) => waitForEnd(one, killedWithinMs)));
  }

  /** Asks it to end, waits, kills it when it does not. */
  stop(graceMs: number): Promise<void> {
    return this.#supervised.stop(graceMs);
  }

  async isHealthy(): Promise<boolean> {
    const text = await this.#call('GET', '/health').catch(() => '');
    return text.includes('true');
  }

  /** Null when it does not answer. */
  async look(): Promise<EtcdView | null> {
    try {
      const parsed = statusSchema.parse(JSON.parse(await this.#call('POST', '/v3/maintenance/status', {})));
      return { id: parsed.header.member_id, leader: parsed.leader };
    } catch {
      return null;
    }
  }

  /** Hands leadership to another member; only the leader can. A refusal shows in {@link look}. */
  async handOverTo(id: string): Promise<void> {
    await this.#call('POST', '/v3/maintenance/transfer-leadership', { targetID: id }).catch(() => '');
  }

  async #call(method: 'GET' | 'POST', path: string, body?: object): Promise<string> {
    const url = `${this.url}${path}`;
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    if (this.#certificates === null) {
      const response = await fetch(url, { method, ...sent, signal: AbortSignal.timeout(callMs) });
      return response.text();
    }
    const call = { method, url, headers: {}, timeoutMs: callMs, ...sent };
    return (await callHttps(call, await readMaterial(this.#certificates))).text;
  }
}
