/** Prepared statements: one of each text for all clients, under a name of its own on each server connection. */

/** A statement as clients prepare it: same text and same types, same statement. */
export interface Prepared {
  readonly id: number;
  readonly text: string;
  readonly types: readonly number[];
}

const REGISTRY_MAX = 20_000;

/** All statements that clients of this worker have prepared. Those that nobody has any more are forgotten when room is needed. */
export class PreparedRegistry {
  readonly #byKey = new Map<string, Prepared>();
  #lastId = 0;

  get(text: string, types: readonly number[]): Prepared {
    const key = types.length === 0 ? text : `${types.join(',')}\0${text}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    // A session keeps the statements that it has: what is forgotten here only gets another number the next time.
    if (this.#byKey.size >= REGISTRY_MAX) this.#byKey.clear();
    const prepared = { id: ++this.#lastId, text, types };
    this.#byKey.set(key, prepared);
    return prepared;
  }
}

const STATEMENTS_MAX = 250;

/** What is prepared on one server connection; the least recently used goes first. */
export class ServerStatements {
  readonly #names = new Map<number, string>();
  #lastNumber = 0;

  nameOf({ id }: Prepared): string | null {
    const name = this.#names.get(id);
    if (name === undefined) return null;
    if (this.#names.size > STATEMENTS_MAX / 2) {
      this.#names.delete(id);
      this.#names.set(id, name);
    }
    return name;
  }

  /** Names are never used twice: a statement whose end is doubtful is in nobody's way. */
  add({ id }: Prepared): string {
    const name = `understudy_${++this.#lastNumber}`;
    this.#names.set(id, name);
    return name;
  }

  forget(id: number): void {
    this.#names.delete(id);
  }

  forgetAll(): void {
    this.#names.clear();
  }

  /** Names to close, because there are too many. */
  evict(): readonly string[] {
    if (this.#names.size <= STATEMENTS_MAX) return [];
    const [oldest] = this.#names;
    if (oldest === undefined) return [];
    this.#names.delete(oldest[0]);
    return [oldest[1]];
  }
}
