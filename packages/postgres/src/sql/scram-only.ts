import type pg from 'pg';

const mechanisms = { plain: 'SCRAM-SHA-256', bound: 'SCRAM-SHA-256-PLUS' } as const;

/**
 * Keeps a session from logging in otherwise than by SCRAM. The driver answers any question of a server: for the password in clear text, for
 * its MD5, and it takes one that asks nothing. By SCRAM the server shows that it knows the password's verifier, and learns nothing that lets
 * it in elsewhere; over TLS the exchange is bound to the server's certificate (RFC 5802, 5929), so that nobody can pass it on.
 */
export class ScramOnly {
  readonly #password: string | null;
  readonly #mechanism: string;
  #refusal: Error | null = null;
  #proof: 'none' | 'shown' = 'none';

  /** @param password null: the driver may find one by itself, in a file of the user's; a server that lets us in without one is taken then */
  constructor(password: string | null, encryption: 'tls' | 'plain') {
    this.#password = password;
    this.#mechanism = encryption === 'tls' ? mechanisms.bound : mechanisms.plain;
  }

  /** What the driver calls when it is to answer. */
  readonly password = async (): Promise<string> => {
    if (this.#refusal !== null) throw this.#refusal;
    return this.#password ?? '';
  };

  /** Why the server got no password; null: it did not ask for one otherwise than it should. */
  get refusal(): Error | null {
    return this.#refusal;
  }

  /** Listens before the driver does: called before it connects. */
  watch({ connection }: pg.Client): void {
    const refuse = (why: string): void => {
      const refusal = this.#refuse(why);
      // The driver looks for a password of its own meanwhile: there is nobody left to send it to.
      if (this.#password !== null) return;
      connection.stream.destroy();
      connection.emit('error', refusal);
    };
    connection.once('authenticationCleartextPassword', () => refuse('it asks for it in clear text'));
    connection.once('authenticationMD5Password', () => refuse('it asks for its MD5'));
    connection.once('authenticationSASL', ({ mechanisms: offered }: { readonly mechanisms: readonly string[] }) => {
      if (!offered.includes(this.#mechanism)) refuse(`it does not offer ${this.#mechanism}`);
    });
    connection.once('authenticationSASLFinal', () => {
      this.#proof = 'shown';
    });
    connection.once('authenticationOk', () => {
      if (this.#proof === 'none' && this.#password !== null)
        connection.emit('error', this.#refuse('it let us in without a proof that it knows it'));
    });
  }

  #refuse(why: string): Error {
    const text = `the server did not get the password: ${why}. Something else than the server of a member may listen there, or its pg_hba.conf does not ask for scram-sha-256`;
    this.#refusal = new Error(text);
    return this.#refusal;
  }
}
