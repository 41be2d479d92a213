/** An event that begins a transaction, in the text that `mysqlbinlog` and `mariadb-binlog` write: where it is, and its GTID. */
const transactions = /# at (\d+)\n#[^\n]*\bGTID ?(?:(\d+-\d+-\d+)(?=\D)|\t[^']*?GTID_NEXT= ?'([^']+)')/g;
/** More than such an event takes. */
const unfinishedCharsMax = 16_384;

/**
 * Looks for the first transaction that is wanted in a decoded log, piece by piece. Line by line it would take several times as long, and
 * what is wanted is mostly at the end of much that is not.
 */
export class TransactionSearch {
  readonly #isWanted: (gtid: string) => boolean;
  #rest = '';
  #seen = 0;
  #firstAt: number | null = null;

  /** @param isWanted asked for each transaction up to the first one that is, with its GTID as its server writes it. */
  constructor(isWanted: (gtid: string) => boolean) {
    this.#isWanted = isWanted;
  }

  /** Where in the log it begins; null: there is none yet. */
  get firstAt(): number | null {
    return this.#firstAt;
  }

  /** How many transactions there were in all. */
  get seen(): number {
    return this.#seen;
  }

  push(piece: string): void {
    const text = this.#rest + piece;
    let end = 0;
    for (const match of text.matchAll(transactions)) {
      const [all, at, mariadb, mysql] = match;
      end = match.index + all.length;
      this.#seen += 1;
      if (this.#firstAt === null && this.#isWanted(mariadb ?? mysql ?? '')) this.#firstAt = Number(at);
    }
    this.#rest = text.slice(Math.max(end, text.length - unfinishedCharsMax));
  }
}
