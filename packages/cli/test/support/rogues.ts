/** Servers of somebody who took the ports of a cluster: they speak as an agent or a database would, and keep all that they are told. */
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';

export interface Identity {
  readonly key: string;
  readonly cert: string;
}

export interface Rogue {
  /** Everything that it was told, encrypted or not, as text. */
  readonly heard: () => string;
  readonly connections: () => number;
  close(): Promise<void>;
}

type Talk = (socket: Socket | TLSSocket, tell: (text: string) => void) => void;

/** Listens and lets `talk` do the rest. @param identity null: it speaks no TLS */
function listen(port: number, talk: (socket: Socket, tell: (text: string) => void) => void): Promise<Rogue> {
  let heard = '';
  let connections = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    talk(socket, (text) => {
      heard += text;
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      resolve({
        heard: () => heard,
        connections: () => connections,
        close: () =>
          new Promise((done) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => done());
          }),
      });
    });
  });
}

function secured(socket: Socket, { key, cert }: Identity): TLSSocket {
  const tls = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key, cert }) });
  tls.on('error', () => undefined);
  return tls;
}

/** An agent that answers everything well, streams a forged report, and knows of the highest epoch. */
export function rogueAgent(port: number, identity: Identity | null, status: object): Promise<Rogue> {
  const serve: Talk = (socket, tell) => {
    let request = '';
    socket.on('data', (chunk: Buffer) => {
      tell(chunk.toString('latin1'));
      request += chunk.toString('latin1');
      if (!request.includes('\r\n\r\n')) return;
      const isStream = request.startsWith('GET /events');
      request = '';
      const text = JSON.stringify(status);
      const body = isStream ? `event: report\ndata: ${text}\n\n` : text;
      const type = isStream ? 'text/event-stream' : 'application/json';
      const length = isStream ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${length}\r\n${body}`);
    });
  };
  return listen(port, (socket, tell) => serve(identity === null ? socket : secured(socket, identity), tell));
}

const sslRequest = 80_877_103;

/** A PostgreSQL that asks for the password in clear text. */
export function roguePostgres(port: number, identity: Identity | null): Promise<Rogue> {
  const login: Talk = (socket, tell) => {
    let greeted = false;
    socket.on('data', (chunk: Buffer) => {
      tell(chunk.toString('latin1'));
      if (greeted) return;
      greeted = true;
      // AuthenticationCleartextPassword.
      socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
    });
  };
  return listen(port, (socket, tell) => {
    socket.once('data', (first: Buffer) => {
      if (first.length >= 8 && first.readInt32BE(4) === sslRequest) {
        socket.write(identity === null ? 'N' : 'S');
        login(identity === null ? socket : secured(socket, identity), tell);
        return;
      }
      // No TLS was asked for: the login itself.
      tell(first.toString('latin1'));
      login(socket, tell);
      socket.emit('data', Buffer.alloc(0));
    });
  });
}

const capabilities = { ssl: 0x800, protocol41: 0x200, secure: 0x8000, plugin: 0x8_0000 };
const nonce = Buffer.from('0123456789abcdefghij');

/** A MySQL or MariaDB that wants the password encrypted for its own key. */
export function rogueMysql(port: number, identity: Identity | null): Promise<Rogue> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  const packet = (number: number, body: Buffer): Buffer => {
    const head = Buffer.alloc(4);
    head.writeUIntLE(body.length, 0, 3);
    head[3] = number;
    return Buffer.concat([head, body]);
  };
  const greeting = (): Buffer => {
    const flags =
      capabilities.protocol41 | capabilities.secure | capabilities.plugin | (identity === null ? 0 : capabilities.ssl);
    const body = Buffer.alloc(1 + 6 + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10 + 13);
    body[0] = 10;
    body.write('9.7.0\0', 1, 'latin1');
    let at = 7 + 4;
    nonce.copy(body, at, 0, 8);
    at += 9;
    body.writeUInt16LE(flags & 0xffff, at);
    body[at + 2] = 255;
    body.writeUInt16LE(2, at + 3);
    body.writeUInt16LE(flags >>> 16, at + 5);
    body[at + 7] = 21;
    nonce.copy(body, at + 18, 8, 20);
    return packet(0, Buffer.concat([body, Buffer.from('caching_sha2_password\0')]));
  };
  const login = (socket: Socket | TLSSocket, tell: (text: string) => void, isEncrypted: boolean): void => {
    socket.on('data', (chunk: Buffer) => {
      tell(chunk.toString('latin1'));
      const next = (chunk[3] ?? 0) + 1;
      const payload = chunk.subarray(4);
      if (payload.length === 1 && payload[0] === 2) {
        socket.write(packet(next, Buffer.concat([Buffer.from([1]), Buffer.from(pem)])));
      } else if (payload.length === 256) {
        const padding = constants.RSA_PKCS1_OAEP_PADDING;
        const mixed = privateDecrypt({ key: privateKey, padding }, payload);
        tell(Buffer.from(mixed.map((byte, index) => byte ^ (nonce[index % 20] ?? 0))).toString('latin1'));
      } else if (payload.length > 32 || !isEncrypted) socket.write(packet(next, Buffer.from([1, 4])));
    });
  };
  return listen(port, (socket, tell) => {
    socket.write(greeting());
    if (identity === null) return login(socket, tell, false);
    socket.once('data', (first: Buffer) => {
      // A short answer asks for TLS; a long one is the login itself.
      if (first.length <= 36) return login(secured(socket, identity), tell, true);
      tell(first.toString('latin1'));
      login(socket, tell, false);
      socket.write(packet(2, Buffer.from([1, 4])));
    });
  });
}
