/** `# at 157` begins an event in the text that `mysqlbinlog` and `mariadb-binlog` write. */
const eventBegins = /^# at \d+$/;
/** The second line of an event that begins a transaction. */
const beginsTransaction = /\bGTID\b/;
const mysqlGtid = /GTID_NEXT= ?'([^']+)'/;
const mariadbGtid = /\bGTID (\d+-\d+-\d+)\b/;
const namedMax = 100_000;

/**
 * Lets through those transactions of a decoded log that are wanted, with what comes before the first one (the format of the log, without
 * which the rest could not be read again). Line by line: a log may be larger than the memory.
 */
export class TransactionFilter {
  readonly #isWanted: (gtid: string) => boolean;
  #event: string[] = [];
  /** `open`: the GTID of a transaction that has begun is still to come. */
  #state: 'header' | 'wanted' | 'unwanted' | 'open' = 'header';
  readonly #kept: string[] = [];
  #seen = 0;

  /** @param isWanted asked for each transaction, with its GTID as its server writes it. */
  constructor(isWanted: (gtid: string) => boolean) {
    this.#isWanted = isWanted;
  }

  /** GTIDs of the transactions that were let through. */
  get kept(): readonly string[] {
    return this.#kept;
  }

  /** How many transactions there were in all. */
  get seen(): number {
    return this.#seen;
  }

  /** @returns the lines that are to be written now. */
  push(line: string): readonly string[] {
    if (eventBegins.test(line)) {
      const rest = this.#event;
      this.#event = [line];
      return this.#pass(rest);
    }
    // The second line says what the event is.
    if (this.#event.length === 1 && beginsTransaction.test(line)) this.#state = 'open';
    if (this.#state === 'open') {
      this.#event.push(line);
      const gtid = (mysqlGtid.exec(line) ?? mariadbGtid.exec(line))?.[1];
      if (gtid === undefined) return [];
      this.#begin(gtid);
      return this.#take();
    }
    return this.#event.length === 0 ? this.#pass([line]) : this.#pass([...this.#take(), line]);
  }

  /** @returns what is left when the text has ended. */
  end(): readonly string[] {
    return this.#pass(this.#take());
  }

  #begin(gtid: string): void {
    this.#seen += 1;
    this.#state = this.#isWanted(gtid) ? 'wanted' : 'unwanted';
    if (this.#state === 'wanted' && this.#kept.length < namedMax) this.#kept.push(gtid);
    if (this.#state === 'unwanted') this.#event = [];
  }

  #take(): readonly string[] {
    const lines = this.#event;
    this.#event = [];
    return lines;
  }

  #pass(lines: readonly string[]): readonly string[] {
    return this.#state === 'unwanted' ? [] : lines;
  }
}
