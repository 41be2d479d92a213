/** Takes a stream of server-sent events apart, whatever pieces it arrives in. */

/** Positions of MariaDB name the end of every leadership. */
const MAX_EVENT_CHARS = 8 * 1024 * 1024;

export class SseParser {
  readonly #onEvent: (event: string, data: string) => void;
  #rest = '';

  constructor(onEvent: (event: string, data: string) => void) {
    this.#onEvent = onEvent;
  }

  /** Takes the next piece. @throws RangeError when an event is larger than 8 MiB */
  push(text: string): void {
    this.#rest += text;
    let end = this.#rest.indexOf('\n\n');
    let start = 0;
    while (end !== -1) {
      this.#emit(this.#rest.slice(start, end));
      start = end + 2;
      end = this.#rest.indexOf('\n\n', start);
    }
    if (start > 0) this.#rest = this.#rest.slice(start);
    if (this.#rest.length > MAX_EVENT_CHARS) throw new RangeError('a server-sent event is larger than 8 MiB');
  }

  #emit(block: string): void {
    let event = 'message';
    const data: string[] = [];
    for (const line of block.split('\n')) {
      if (line.startsWith('event: ')) event = line.slice(7);
      else if (line.startsWith('data: ')) data.push(line.slice(6));
    }
    if (data.length > 0) this.#onEvent(event, data.join('\n'));
  }
}
