import { monotonicMs } from '@understudy/base';
/** Applies `Admission` to a server's connections: ends those for which there is no room, and tells who is known. */

import { readFileSync } from 'node:fs';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { Admission, limitsFor } from './admission.ts';
import { type Caller, holderOf, hostOf } from './caller.ts';
import { type Identity, identify, identifyConnection } from './identify.ts';

/** Beyond what admission counts: connections that were ended and have not gone yet. */
const SLACK = 256;
const FEW_FILES = 1_024;

export class Gate {
  readonly #identity: Identity;
  readonly #admission: Admission;
  readonly #sockets = new Map<string, Socket>();
  /** For metrics: connections ended to make room, connections and requests refused. */
  readonly counters = { evicted: 0, refused: 0, throttled: 0 };

  constructor(server: HttpServer | HttpsServer, identity: Identity, openFiles = maxOpenFiles()) {
    this.#identity = identity;
    const limits = limitsFor(openFiles);
    this.#admission = new Admission(limits);
    server.maxConnections = limits.strangers + limits.known + SLACK;
    // Of an https server these are the connections below TLS: a handshake that is never finished is one, too.
    server.on('connection', (socket: Socket) => this.#arrive(socket));
    server.on('secureConnection', (socket: Socket) => {
      const holder = holderOf(identifyConnection(socket, identity));
      if (holder !== null) this.#end(this.#admission.recognise(idOf(socket), holder));
    });
  }

  get size(): { readonly strangers: number; readonly known: number } {
    return this.#admission.size;
  }

  /**
   * A request has come.
   * @returns who sent it; null: it was turned away
   */
  enter(request: IncomingMessage, response: ServerResponse): Caller | null {
    const caller = identify(request, this.#identity, 'stream');
    const id = idOf(request.socket);
    const holder = holderOf(caller) ?? holderOf(this.copierOf(request));
    if (holder !== null) this.#end(this.#admission.recognise(id, holder));
    else if (!this.#admission.mayAsk(request.socket.remoteAddress ?? '', monotonicMs())) {
      this.counters.throttled++;
      // What came with it in one piece is not answered any more.
      if (request.socket.writable) {
        response.writeHead(429, { connection: 'close' }).end();
        request.socket.destroySoon();
      }
      return null;
    }
    this.#admission.setBusy(id, true);
    response.once('close', () => this.#admission.setBusy(id, false));
    return caller;
  }

  /** Who asks for a copy of the database: what proves a member for its stream proves nothing here. */
  copierOf(request: IncomingMessage): Caller {
    return identify(request, this.#identity, 'copy');
  }

  #arrive(socket: Socket): void {
    const id = idOf(socket);
    const address = socket.remoteAddress;
    // Gone before it was looked at.
    if (address === undefined) return void socket.destroy();
    const arrival = this.#admission.arrive(id, address, monotonicMs(), () => this.#isMemberHost(address));
    if (arrival.kind === 'refused') {
      this.counters.refused++;
      socket.destroy();
      return;
    }
    this.#sockets.set(id, socket);
    socket.once('close', () => {
      this.#sockets.delete(id);
      this.#admission.leave(id);
    });
    this.#end(arrival.evict);
  }

  #end(ids: readonly string[]): void {
    for (const id of ids) {
      this.counters.evicted++;
      this.#sockets.get(id)?.destroy();
    }
  }

  #isMemberHost(address: string): boolean {
    const plain = address.replace(/^::ffff:/, '');
    for (const { host, apiUrl } of this.#identity.policy().members.values()) {
      if (host === plain || hostOf(apiUrl) === plain) return true;
    }
    return false;
  }
}

/** The same for a connection and for the TLS on it. One port of a client may connect to several of our addresses at once. */
const idOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;

/** How many files this process may have open. */
function maxOpenFiles(): number {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limit ?? FEW_FILES);
  } catch {
    return FEW_FILES;
  }
}
