/** User and password against tokens: one authentication at a time, its token shared by all requests. */

import { readFileSync } from 'node:fs';
import { reasonOf } from '@understudy/base';
import { StoreError } from '../errors.ts';

export class Credentials {
  readonly username: string;
  readonly #passwordFile: string;
  #token: string | null = null;
  #pending: Promise<string | null> | null = null;

  constructor(username: string, passwordFile: string) {
    this.username = username;
    this.#passwordFile = passwordFile;
  }

  /** Read each time, so that a changed password is used without a restart, and not kept in memory. */
  readPassword(): string {
    try {
      return readFileSync(this.#passwordFile, 'utf8').replace(/\r?\n$/, '');
    } catch (cause) {
      throw new StoreError(
        'invalid-config',
        `store.passwordFile ${this.#passwordFile} cannot be read: ${reasonOf(cause)}`,
        { cause },
      );
    }
  }

  /**
   * The token in use, or a new one from `authenticate`, which returns null when the store has authentication off.
   * Callers that come meanwhile wait for the same answer.
   */
  async token(authenticate: () => Promise<string | null>): Promise<string | null> {
    if (this.#token !== null) return this.#token;
    this.#pending ??= authenticate().finally(() => {
      this.#pending = null;
    });
    this.#token = await this.#pending;
    return this.#token;
  }

  /** Forgets `token` after the store refused it, unless another call has replaced it already. */
  forget(token: string | null): void {
    if (this.#token === token) this.#token = null;
  }
}
