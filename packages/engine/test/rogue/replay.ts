import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { Loot, listen, type Rogue, rogueHost } from './listen.ts';

/** What a server said to one client, in the pieces between which the client spoke. */
export type Recording = readonly Buffer[];

export interface Recorder {
  readonly host: string;
  readonly port: number;
  /** What the server said on the first connection. */
  recording(): Recording;
  close(): Promise<void>;
}

/** Stands between a client and the right server, changes nothing, and keeps what the server says. */
export async function recorder(target: { readonly host: string; readonly port: number }): Promise<Recorder> {
  const pieces: Buffer[] = [];
  let speaker: 'client' | 'server' = 'client';
  let isFirst = true;
  const server = createServer((client) => {
    const isKept = isFirst;
    isFirst = false;
    const upstream = connect(target.port, target.host);
    client.on('data', (chunk: Buffer) => {
      speaker = 'client';
      upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (isKept) {
        const last = speaker === 'server' ? pieces.pop() : undefined;
        pieces.push(last === undefined ? chunk : Buffer.concat([last, chunk]));
        speaker = 'server';
      }
      client.write(chunk);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, rogueHost);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: rogueHost,
    port: address.port,
    recording: () => pieces,
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** A server that says again what the right one said once. @param begins who speaks first in this protocol. */
export async function replayer(recording: Recording, begins: 'client' | 'server'): Promise<Rogue> {
  const loot = new Loot();
  return listen(loot, async (wire) => {
    const pieces = [...recording];
    if (begins === 'server') wire.send(pieces.shift() ?? Buffer.alloc(0));
    for (;;) {
      const said = await wire.takeSome();
      const piece = pieces.shift();
      if (piece === undefined) loot.commands.push(said.toString('latin1'));
      else wire.send(piece);
    }
  });
}
