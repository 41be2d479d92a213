/** The streams of all other members. */

import type { Member, MemberId, PeerView, Position } from '@understudy/core';
import { introduction, type MemberSecret, mayIntroduce } from './introduction.ts';
import type { PeerReport, StreamMessage } from './report.ts';
import { PeerStream, type PeerTls } from './stream.ts';

export interface PeerSetOptions {
  readonly self: MemberId;
  readonly tls: PeerTls | null;
  /** By which this agent shows that it is a member. */
  readonly secret: MemberSecret;
  /** Whether it may do so over links that are not encrypted. */
  readonly insecure: boolean;
  readonly runningMs: () => number;
  readonly freshMs: () => number;
  readonly onChange: () => void;
  readonly onMessage: (member: MemberId, message: StreamMessage, report: PeerReport) => void;
}

export class PeerSet {
  readonly #options: PeerSetOptions;
  readonly #streams = new Map<MemberId, PeerStream>();

  constructor(options: PeerSetOptions) {
    this.#options = options;
  }

  /** Follows the members that the store has: new ones are connected to, ones that left or moved are let go. */
  follow(members: ReadonlyMap<MemberId, Member>): void {
    for (const [member, stream] of this.#streams) {
      if (members.get(member)?.apiUrl === stream.apiUrl) continue;
      stream.close();
      this.#streams.delete(member);
    }
    for (const { id, apiUrl } of members.values()) {
      if (id === this.#options.self || this.#streams.has(id)) continue;
      const { self, secret, insecure, tls, runningMs, freshMs, onChange, onMessage } = this.#options;
      this.#streams.set(
        id,
        new PeerStream({
          member: id,
          apiUrl,
          tls,
          headers: mayIntroduce(new URL(apiUrl), insecure) ? introduction(secret, 'stream', self, id) : {},
          runningMs,
          freshMs,
          onChange,
          onMessage: (message, report) => onMessage(id, message, report),
        }),
      );
    }
  }

  tick(): void {
    for (const stream of this.#streams.values()) stream.tick();
  }

  views(): ReadonlyMap<MemberId, PeerView> {
    return new Map([...this.#streams].map(([member, stream]) => [member, stream.view()]));
  }

  /** A sentence for each member that does not take this one for one. */
  warnings(): readonly string[] {
    return [...this.#streams].flatMap(([member, { turnedAway }]) =>
      turnedAway === 401 || turnedAway === 403
        ? [`the agent of ${member} does not know this one as a member (HTTP ${turnedAway}): their secrets files differ`]
        : [],
    );
  }

  reports(): ReadonlyMap<MemberId, PeerReport> {
    const reports = new Map<MemberId, PeerReport>();
    for (const [member, { report }] of this.#streams) if (report !== null) reports.set(member, report);
    return reports;
  }

  /** The newest known position of every other member. */
  positions(): ReadonlyMap<MemberId, Position> {
    const positions = new Map<MemberId, Position>();
    for (const [member, { report }] of this.#streams) {
      const engine = report?.live.engine;
      const position = engine?.kind === 'primary' || engine?.kind === 'replica' ? engine.position : null;
      if (position !== null) positions.set(member, position);
    }
    return positions;
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }
}
