import { randomBytes } from 'node:crypto';
import { Loot, listen, type Rogue, type RogueCertificate, type Wire } from './listen.ts';

/** How a rogue asks for a password; `nothing`: it lets everybody in. `scram`: as the right server does, without knowing the password. */
export type PostgresQuestion = 'clear' | 'md5' | 'scram' | 'nothing';

export interface PostgresRogueOptions {
  /** Null: it says that it knows no TLS. */
  readonly tls: RogueCertificate | null;
  readonly asks: PostgresQuestion;
}

const sslRequest = 80_877_103;
const gssRequest = 80_877_104;

/** A server of PostgreSQL that is nobody's: it knows no role, and takes whatever a client shows. */
export async function postgresRogue(options: PostgresRogueOptions): Promise<Rogue> {
  const loot = new Loot();
  return listen(loot, (wire) => serve(wire, options, loot));
}

async function serve(wire: Wire, { tls, asks }: PostgresRogueOptions, loot: Loot): Promise<void> {
  let startup = await takeStartup(wire);
  while ([sslRequest, gssRequest].includes(startup.readUInt32BE(0))) {
    const isTls = startup.readUInt32BE(0) === sslRequest && tls !== null;
    wire.send(Buffer.from(isTls ? 'S' : 'N'));
    if (isTls) await wire.secure(tls, loot);
    startup = await takeStartup(wire);
  }
  const [, user = ''] = /user\0([^\0]*)/.exec(startup.toString('latin1')) ?? [];
  loot.users.push(user);
  if (asks !== 'nothing') await ask(wire, asks, loot);
  wire.send(message('R', int(0)));
  wire.send(message('Z', Buffer.from('I')));
  for (;;) {
    const [kind, body] = await takeMessage(wire);
    loot.commands.push(kind + body.toString('latin1'));
    wire.send(Buffer.concat([message('C', Buffer.from('OK\0')), message('Z', Buffer.from('I'))]));
  }
}

async function ask(wire: Wire, how: Exclude<PostgresQuestion, 'nothing'>, loot: Loot): Promise<void> {
  if (how === 'clear') wire.send(message('R', int(3)));
  else if (how === 'md5') wire.send(message('R', Buffer.concat([int(5), randomBytes(4)])));
  else wire.send(message('R', Buffer.concat([int(10), Buffer.from('SCRAM-SHA-256\0\0')])));
  const [, answer] = await takeMessage(wire);
  loot.answers.push(answer);
  if (how === 'clear') loot.passwords.push(answer.subarray(0, -1).toString());
  if (how !== 'scram') return;
  const [, nonce = ''] = /r=([^,]*)/.exec(answer.toString('latin1')) ?? [];
  const first = `r=${nonce}${randomBytes(9).toString('base64')},s=${randomBytes(16).toString('base64')},i=4096`;
  wire.send(message('R', Buffer.concat([int(11), Buffer.from(first)])));
  loot.answers.push((await takeMessage(wire))[1]);
  wire.send(message('R', Buffer.concat([int(12), Buffer.from(`v=${randomBytes(32).toString('base64')}`)])));
}

async function takeStartup(wire: Wire): Promise<Buffer> {
  return wire.take((await wire.take(4)).readUInt32BE(0) - 4);
}

async function takeMessage(wire: Wire): Promise<readonly [string, Buffer]> {
  const head = await wire.take(5);
  return [head.toString('latin1', 0, 1), await wire.take(head.readUInt32BE(1) - 4)];
}

function message(kind: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(kind), int(body.length + 4), body]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
