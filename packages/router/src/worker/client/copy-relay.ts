/** Data of a COPY on its way to a server: a message of it goes there with all of its pieces, or with none. */

import type { ServerConnection } from '../server/server-connection.ts';

export class CopyRelay {
  /** Where the message goes that has begun and not ended. */
  #target: ServerConnection | null = null;
  #isInside = false;

  /**
   * A piece of a message. What its first piece was decided to be, the others are: a server that has read the beginning waits for the rest,
   * whatever error it has said since.
   */
  pass(server: ServerConnection | null, bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (!this.#isInside) this.#target = server?.talk.copyData() === true ? server : null;
    this.#isInside = !isLast;
    if (this.#target?.isOpen === true && this.#target === server) server.pass(bytes, start, end);
    if (isLast) this.#target = null;
  }

  /** The server has the beginning of a message without its end: whatever is sent next it would take for data. */
  isInside(server: ServerConnection): boolean {
    return this.#target === server;
  }
}
