/** The logins with which this member replicates. Only this member knows their passwords: they are made here and never sent. */

import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonicMs, reasonOf } from '@understudy/base';
import type { LoginSlot, MemberId, MemberLogins } from '@understudy/core';
import { type Engine, loginKey, type OwnLogins } from '@understudy/engine';
import { replaceFile } from '@understudy/engine/host';
import { z } from 'zod';
import { readSecretText } from '../config/secrets.ts';
import {
  type Attempts,
  advanced,
  attempted,
  begun,
  firstState,
  freeSlot,
  isChanging,
  type LoginFacts,
  type LoginState,
  loginAt,
  noAttempts,
  type OwnLogin,
  registered,
  type Taken,
} from './steps.ts';

export const LOGINS_FILE = 'logins.json';

const fileSchema = z.object({
  engine: z.string(),
  own: z
    .array(
      z.object({
        id: z.string().regex(/^[0-9a-f]{16}$/),
        slot: z.enum(['a', 'b']),
        verifier: z.string().min(20).max(300),
        password: z.string().min(16).max(64),
      }),
    )
    .min(1)
    .max(2),
  shared: z.enum(['in-use', 'left']),
  used: z.enum(['a', 'b', 'shared']).nullable(),
});

/** What a member's server says of the logins that it takes; `older`: its agent says nothing of them. */
export type TakenAt = (upstream: MemberId) => readonly string[] | 'older' | 'unknown';

type VerifierOf = (password: string) => Promise<string>;

export class MemberLoginFile {
  readonly #file: string;
  readonly #self: MemberId;
  readonly #engine: string;
  readonly #verifierOf: VerifierOf;
  #state: LoginState;
  #attempts: Attempts = noAttempts;
  #problem: string | null = null;

  private constructor(file: string, self: MemberId, engine: string, verifierOf: VerifierOf, state: LoginState) {
    this.#file = file;
    this.#self = self;
    this.#engine = engine;
    this.#verifierOf = verifierOf;
    this.#state = state;
  }

  /** Reads what this member has, or makes its first login. Null: its engine's members have none of their own. */
  static async open(
    folder: string,
    self: MemberId,
    engine: Pick<Engine, 'name' | 'verifierOf'>,
    dataDir: string,
  ): Promise<MemberLoginFile | null> {
    if (engine.verifierOf === undefined) return null;
    const verifierOf = engine.verifierOf.bind(engine);
    const file = join(folder, LOGINS_FILE);
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch(() => undefined);
    const kept = await load(file, engine.name);
    if (kept !== null) return new MemberLoginFile(file, self, engine.name, verifierOf, kept);
    const entries = await readdir(dataDir).catch(() => []);
    const state = firstState(await newLogin('a', verifierOf), entries.length > 0);
    const made = new MemberLoginFile(file, self, engine.name, verifierOf, state);
    await made.#save(state);
    return made;
  }

  /** Why what is in use is not in its file: the next agent begins with another login. Null: it is. */
  get problem(): string | null {
    return this.#problem;
  }

  get registered(): MemberLogins {
    return registered(this.#state);
  }

  get isChanging(): boolean {
    return isChanging(this.#state);
  }

  /** The newest login's id. */
  get newest(): string {
    return this.#state.own.at(-1)?.id ?? '';
  }

  /** What the engine logs in with. @param takenAt keys of all members' logins that a member's server takes */
  forEngine(takenAt: TakenAt): OwnLogins {
    return {
      passwords: this.#state.own.map(({ slot, password }) => ({ slot, password })),
      // Work that goes on for long asks again: what the other end takes may have changed meanwhile.
      at: (upstream) => this.#at(upstream, this.#own(takenAt(upstream))),
    };
  }

  /** Begins a rotation. One that is under way goes on. */
  async rotate(): Promise<void> {
    if (this.isChanging) return;
    const next = await newLogin(freeSlot(this.#state), this.#verifierOf);
    await this.#save(begun(this.#state, next));
  }

  /** @param facts `taken`: keys of all members' logins */
  async advance(facts: LoginFacts, nowMs = monotonicMs()): Promise<void> {
    const ours = { ...facts, taken: this.#own(facts.taken) };
    this.#attempts = attempted(this.#state, this.#attempts, ours, nowMs);
    const next = advanced(this.#state, ours, this.#attempts, nowMs);
    if (JSON.stringify(next) !== JSON.stringify(this.#state)) await this.#save(next);
  }

  #at(upstream: MemberId, taken: Taken): LoginSlot | 'shared' {
    const attempts = this.#attempts.upstream === upstream ? this.#attempts : noAttempts;
    return loginAt(this.#state, taken, attempts, monotonicMs());
  }

  /** This member's logins among all that are taken. */
  #own(taken: Taken): Taken {
    if (typeof taken === 'string') return taken;
    return this.#state.own.map(({ id }) => id).filter((id) => taken.includes(loginKey(this.#self, id)));
  }

  /** In the file before anybody hears of it: a login that was forgotten after it was registered would be of no use. */
  async #save(next: LoginState): Promise<void> {
    try {
      await replaceFile(this.#file, `${JSON.stringify({ engine: this.#engine, ...next })}\n`, null);
      this.#problem = null;
    } catch (error) {
      this.#problem = `${this.#file} cannot be written: ${reasonOf(error)}`;
    }
    this.#state = next;
  }
}

async function newLogin(slot: LoginSlot, verifierOf: VerifierOf): Promise<OwnLogin> {
  // At most 32 characters: MySQL's replicas take no longer one.
  const password = randomBytes(24).toString('base64url');
  return { id: randomBytes(8).toString('hex'), slot, password, verifier: await verifierOf(password) };
}

async function load(file: string, engine: string): Promise<LoginState | null> {
  try {
    const parsed = fileSchema.parse(JSON.parse(await readSecretText(file)));
    return parsed.engine === engine ? { own: parsed.own, shared: parsed.shared, used: parsed.used } : null;
  } catch {
    return null;
  }
}
