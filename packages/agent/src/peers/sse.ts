/** Takes a stream of server-sent events apart, whatever pieces it arrives in. */

/** Positions of MariaDB name the end of every leadership. */
const MAX_EVENT_CHARS = 8 * 1024 * 1024;

const PIECES_MAX = 1024;

export class SseParser {
  readonly #onEvent: (event: string, data: string) => void;
  /** Pieces of an event that has not ended. Joined at its end: joined at each piece, a slow giant would keep the process busy. */
  #pieces: string[] = [];
  #chars = 0;
  #last = '';

  constructor(onEvent: (event: string, data: string) => void) {
    this.#onEvent = onEvent;
  }

  /** Takes the next piece. @throws RangeError when an event is larger than 8 MiB */
  push(text: string): void {
    const hasEnd = `${this.#last}${text}`.includes('\n\n');
    this.#pieces.push(text);
    this.#chars += text.length;
    this.#last = text.slice(-1) || this.#last;
    if (hasEnd) this.#take(this.#pieces.join(''));
    else if (this.#pieces.length >= PIECES_MAX) this.#pieces = [this.#pieces.join('')];
    if (this.#chars > MAX_EVENT_CHARS) throw new RangeError('a server-sent event is larger than 8 MiB');
  }

  #take(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n', start)) {
      this.#emit(text.slice(start, end));
      start = end + 2;
    }
    const rest = text.slice(start);
    this.#pieces = [rest];
    this.#chars = rest.length;
    this.#last = rest.slice(-1);
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
