/** Members whose agents ask for a stream and do not show that they are members: they hear nothing of this one. Pure: no clock. */

import type { Member, MemberId } from '@understudy/core';
import { hostOf } from '../access/caller.ts';

/** An agent asks twice a second. */
const FORGET_MS = 10_000;

export class UnprovenMembers {
  readonly #askedMs = new Map<MemberId, number>();

  /** Somebody at `address` was refused a stream. Of no use to who attacks: members alone are noted, by where they are registered. */
  refused(address: string, members: ReadonlyMap<MemberId, Member>, nowMs: number): void {
    const plain = address.replace(/^::ffff:/, '');
    const at = [...members.values()].filter(({ host, apiUrl }) => host === plain || hostOf(apiUrl) === plain);
    // Several on one host cannot be told apart.
    for (const { id } of at) this.#askedMs.set(id, nowMs);
  }

  warnings(self: MemberId, nowMs: number): readonly string[] {
    return [...this.#askedMs].flatMap(([member, askedMs]) =>
      member === self || nowMs - askedMs > FORGET_MS
        ? []
        : [
            `the agent of ${member} asks this one what it sees without showing that it is a member, and is told nothing: its version is from before 2026-12, or its secrets file differs. Upgrade it now, or give all members certificates (api.tls, clientCert) first`,
          ],
    );
  }
}
