/** Stored passwords, asked of the servers: the router keeps none of its own. */

import { createHash, createHmac } from 'node:crypto';
import { parseVerifier, type Verifier } from '@understudy/wire/postgres';
import type { Pool, Waiter } from '../pool/pool.ts';
import type { Row, ServerConnection } from '../server/server-connection.ts';
import { literal } from './session-settings.ts';

export type Found =
  | { readonly kind: 'verifier'; readonly verifier: Verifier }
  | { readonly kind: 'none' }
  | { readonly kind: 'expired' }
  /** It has a password that is no SCRAM-SHA-256 verifier. */
  | { readonly kind: 'unusable' };

const FRESH_MS = 30_000;
const NONE_FRESH_MS = 2_000;
const USERS_MAX = 10_000;

/** Everything is named with its schema: whatever `search_path` says, nothing else is called. */
const question = (user: string): string =>
  `SELECT r.rolpassword, r.rolvaliduntil IS NULL OR r.rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now()
     FROM pg_catalog.pg_authid r WHERE r.rolname OPERATOR(pg_catalog.=) ${literal(user)} AND r.rolcanlogin`;

export class Verifiers {
  readonly #pool: Pool;
  readonly #known = new Map<string, { readonly found: Found; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<Found>>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** @throws Error when no server could be asked in time */
  async of(user: string): Promise<Found> {
    const known = this.#known.get(user);
    if (known !== undefined && known.untilMs > performance.now()) return known.found;
    const asked = this.#asking.get(user) ?? this.#ask(user);
    return asked;
  }

  /** What is known of a user may be old: a login failed. */
  forget(user: string): void {
    this.#known.delete(user);
  }

  #ask(user: string): Promise<Found> {
    const asked = this.#rows(question(user))
      .then((rows) => {
        const found = foundIn(rows);
        if (this.#known.size >= USERS_MAX) this.#known.clear();
        const freshMs = found.kind === 'verifier' ? FRESH_MS : NONE_FRESH_MS;
        this.#known.set(user, { found, untilMs: performance.now() + freshMs });
        return found;
      })
      .finally(() => this.#asking.delete(user));
    this.#asking.set(user, asked);
    return asked;
  }

  #rows(text: string): Promise<readonly Row[]> {
    return new Promise((done, fail) => {
      const use = (server: ServerConnection): void => {
        server.run(text, (error, rows) => {
          this.#pool.release(server);
          if (error === null) done(rows);
          else fail(new Error(error.message));
        });
      };
      const server = this.#pool.acquire('any');
      if (server !== null) {
        use(server);
        return;
      }
      const waiter: Waiter = {
        wanted: 'any',
        sinceMs: performance.now(),
        bytes: text.length,
        take: use,
        refuse: (error) => fail(new Error(error.message)),
      };
      this.#pool.wait(waiter);
    });
  }
}

function foundIn([row]: readonly Row[]): Found {
  if (row === undefined || row[0] === null || row[0] === undefined) return { kind: 'none' };
  if (row[1] !== 't') return { kind: 'expired' };
  try {
    return { kind: 'verifier', verifier: parseVerifier(row[0]) };
  } catch {
    return { kind: 'unusable' };
  }
}

/** Salt and keys of a user that does not exist: always the same for a name, so that a second try does not show it. */
export function standInVerifier(user: string, secret: Buffer): Verifier {
  const salt = createHmac('sha256', secret).update(user).digest().subarray(0, 16);
  const keys = createHash('sha256').update(secret).update(user).digest();
  return { salt, iterations: 4096, storedKey: keys, serverKey: keys };
}
