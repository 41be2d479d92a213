/** What has been seen of a server since it started; forgotten when another process takes its place. */
export class ServerFacts {
  #pid: number | null = null;
  /** `once`: a connection succeeded in this run, so "starting up" is over. */
  answered: 'never' | 'once' = 'never';
  role: 'replica' | 'primary' | 'unknown' = 'unknown';
  /** `ending`: an ordered stop is under way; the server refuses connections, but it is what it was until it has gone. */
  life: 'serving' | 'ending' = 'serving';

  /** Forgets everything when `pid` is another server than before. */
  of(pid: number): this {
    if (this.#pid === pid) return this;
    this.#pid = pid;
    this.answered = 'never';
    this.role = 'unknown';
    this.life = 'serving';
    this.forget();
    return this;
  }

  /** Forgets what an engine keeps beside that. */
  protected forget(): void {}
}
