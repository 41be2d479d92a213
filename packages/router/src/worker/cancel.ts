/** Requests to cancel: which client a key belongs to, and how its server is told. */

import { timingSafeEqual } from 'node:crypto';
import { encodeCancel } from '@understudy/wire/postgres';
import type { ClientSession } from './client/client-session.ts';
import type { ServerConnection } from './server/server-connection.ts';
import { openServer } from './server/server-socket.ts';

/** Numbers of one worker: drivers take them for process numbers, so they stay positive in 32 bits. */
const PER_WORKER = 0x100_0000;
const CANCEL_MS = 5_000;

interface Entry {
  readonly secret: Buffer;
  session: ClientSession | null;
}

export class CancelKeys {
  readonly #first: number;
  readonly #entries = new Map<number, Entry>();
  #last = 0;

  constructor(workerIndex: number) {
    this.#first = workerIndex * PER_WORKER;
  }

  isOwn(processId: number): boolean {
    return processId >= this.#first && processId < this.#first + PER_WORKER;
  }

  /** A number for a new client. */
  add(secret: Buffer): number {
    do this.#last = (this.#last + 1) % PER_WORKER;
    while (this.#last === 0 || this.#entries.has(this.#first + this.#last));
    const processId = this.#first + this.#last;
    this.#entries.set(processId, { secret, session: null });
    return processId;
  }

  assign(processId: number, session: ClientSession): void {
    const entry = this.#entries.get(processId);
    if (entry !== undefined) entry.session = session;
  }

  forget(processId: number): void {
    this.#entries.delete(processId);
  }

  find(processId: number, secret: Buffer): ClientSession | null {
    const entry = this.#entries.get(processId);
    if (entry === undefined || entry.secret.length !== secret.length) return null;
    return timingSafeEqual(entry.secret, secret) ? entry.session : null;
  }

  numberOf(session: ClientSession): number {
    for (const [processId, entry] of this.#entries) if (entry.session === session) return processId;
    return 0;
  }
}

/** Asks the server to stop what the connection does. Until that has been heard, the connection serves nobody else. */
export function sendCancel(server: ServerConnection): void {
  server.cancelsUnderway++;
  let isOver = false;
  const over = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(deadline);
    server.cancelsUnderway--;
    if (server.isOpen) server.options.onReady(server);
  };
  let socket = openServer(server.options, {
    onOpen: (open) => {
      socket = open;
      open.write(encodeCancel(server.processId, server.secret));
      // The server closes the connection once it has done what it can.
      open.resume();
    },
    onBytes: () => true,
    onLost: over,
  });
  const deadline = setTimeout(() => {
    socket.destroy();
    over();
  }, CANCEL_MS);
}
