/** A client of PostgreSQL that sends exactly the messages that a test wants, when it wants. */

import { pbkdf2Sync } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import {
  type ClientMessage,
  checkServerFinal,
  encodeClientMessage,
  encodeSaslInitial,
  encodeSaslResponse,
  encodeStartup,
  FrameScanner,
  keysOf,
  parseAuthentication,
  parseServerMessage,
  type ScramClientProof,
  SERVER,
  type ServerMessage,
  scramClientChallenge,
  scramClientFinal,
  scramClientFirst,
  serverFrames,
} from '@understudy/wire/postgres';

export interface RawLogin {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly settings?: readonly (readonly [string, string])[];
}

type Heard = { readonly type: number; readonly body: Buffer };

export class RawClient {
  readonly socket: Socket;
  readonly #heard: Heard[] = [];
  #wake: () => void = () => undefined;
  isClosed = false;
  processId = 0;
  secret = Buffer.alloc(0);

  private constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const scanner = new FrameScanner(serverFrames());
    const pieces: Buffer[] = [];
    this.socket.on('data', (chunk: Buffer) => {
      scanner.scan(chunk, 0, chunk.length, {
        frame: (type, bytes, start, end) => {
          this.#heard.push({ type, body: Buffer.from(bytes.subarray(start + 5, end)) });
          return true;
        },
        piece: (type, bytes, start, end, isLast) => {
          pieces.push(Buffer.from(bytes.subarray(start, end)));
          if (isLast) this.#heard.push({ type, body: Buffer.concat(pieces.splice(0)).subarray(5) });
          return true;
        },
      });
      this.#wake();
    });
    const closed = (): void => {
      this.isClosed = true;
      this.#wake();
    };
    this.socket.on('error', closed);
    this.socket.on('close', closed);
  }

  static bare(port: number): RawClient {
    return new RawClient(port);
  }

  /** @throws Error with the server's text when it refuses */
  static async logIn({ port, user, password, database, settings = [] }: RawLogin): Promise<RawClient> {
    const client = new RawClient(port);
    client.socket.write(encodeStartup({ major: 3, minor: 0 }, [['user', user], ['database', database], ...settings]));
    const start = scramClientFirst(['SCRAM-SHA-256'], null, 'a nonce of the test'.replaceAll(' ', '-'));
    let proof: ScramClientProof | null = null;
    for (;;) {
      const { type, body } = await client.#next();
      if (type === SERVER.authentication) {
        const question = parseAuthentication(body);
        if (question.kind === 'sasl') client.socket.write(encodeSaslInitial(start.mechanism, start.clientFirst));
        if (question.kind === 'sasl-continue') {
          const step = scramClientChallenge(start, question.text);
          const { salt, iterations } = step.challenge;
          const keys = keysOf(pbkdf2Sync(password, salt, iterations, 32, 'sha256'), salt, iterations);
          proof = scramClientFinal(step, keys);
          client.socket.write(encodeSaslResponse(proof.clientFinal));
        }
        if (question.kind === 'sasl-final' && proof !== null) checkServerFinal(proof, question.text);
        continue;
      }
      const message = parseServerMessage(type, body);
      if (message.kind === 'error') throw new Error(`${message.fields.code} ${message.fields.message}`);
      if (message.kind === 'backend-key-data') {
        client.processId = message.processId;
        client.secret = Buffer.from(message.secret);
      }
      if (message.kind === 'ready-for-query') return client;
    }
  }

  send(...messages: ClientMessage[]): void {
    this.socket.write(Buffer.concat(messages.map(encodeClientMessage)));
  }

  async #next(): Promise<Heard> {
    for (;;) {
      const heard = this.#heard.shift();
      if (heard !== undefined) return heard;
      if (this.isClosed) throw new Error('the connection was closed');
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  async next(): Promise<ServerMessage> {
    const { type, body } = await this.#next();
    return parseServerMessage(type, body);
  }

  /** Everything up to the next ReadyForQuery, without parameters and notices, in short: kind, and what matters of it. */
  async untilReady(): Promise<string[]> {
    const said: string[] = [];
    for (;;) {
      const message = await this.next();
      if (message.kind === 'parameter-status' || message.kind === 'notice') continue;
      said.push(shortly(message));
      if (message.kind === 'ready-for-query') return said;
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

export function shortly(message: ServerMessage): string {
  switch (message.kind) {
    case 'data-row':
      return `row ${message.values.map((each) => each?.toString('utf8') ?? 'null').join(',')}`;
    case 'error':
      return `error ${message.fields.code}`;
    case 'command-complete':
      return message.tag;
    case 'ready-for-query':
      return `ready ${String.fromCharCode(message.status)}`;
    default:
      return message.kind;
  }
}
