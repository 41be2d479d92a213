/** Requests of the extended protocol on their way to a server: statements keep the client's names towards it, and have others on each server. */

import { type Classification, EMPTY_STATEMENT } from '@understudy/routing';
import { ByteReader, bindNames, CLIENT, REQUEST, renameBind, WireError } from '@understudy/wire/postgres';
import type { ServerConnection } from '../server/server-connection.ts';
import type { Prepared, PreparedRegistry } from '../server/server-statements.ts';
import { type Frame, readParse, readTarget } from './work.ts';

interface Statement {
  readonly prepared: Prepared;
  readonly class: Classification;
}

const PORTALS_MAX = 1_000;
/** A portal that nobody saw being bound: it may run anything. */
const UNKNOWN_PORTAL: Classification = {
  ...EMPTY_STATEMENT,
  node: 'primary',
  reason: 'cursor',
  mayWrite: true,
  knowledge: 'none',
  statements: 1,
};

/** The prepared statements of one client, and its messages about them. */
export class ClientRequests {
  readonly #statements = new Map<string, Statement>();
  /** What runs when a portal is executed, by its name: it may have been bound in an earlier group. */
  readonly #portals = new Map<string, Classification>();
  /** Names of Parse messages that are not answered yet, in order. */
  #parsing: { readonly name: string; readonly before: Statement | undefined }[] = [];

  classOf(name: string): Classification | undefined {
    return this.#statements.get(name)?.class;
  }

  /**
   * Reads all messages of a group before anything of it is sent: a wrong one must be found while nothing waits for it.
   *
   * @throws WireError `malformed`
   */
  read(
    frames: readonly Frame[],
    registry: PreparedRegistry,
    classify: (text: string) => Classification,
  ): { readonly frames: Frame[]; readonly classes: readonly Classification[] } {
    const classes: Classification[] = [];
    const own = new Map<string, Classification>();
    const bound = new Set<string>();
    const read = frames.map((frame): Frame => {
      if (frame.type === CLIENT.parse) {
        const { name, text, types } = readParse(frame.bytes);
        const found = classify(text);
        own.set(name, found);
        return { ...frame, prepared: registry.get(text, types), class: found };
      }
      if (frame.type === CLIENT.bind) {
        const { portal, statement } = bindNames(frame.bytes);
        const found = own.get(statement) ?? this.classOf(statement);
        classes.push(found ?? UNKNOWN_PORTAL);
        if (this.#portals.size >= PORTALS_MAX) this.#portals.clear();
        this.#portals.set(portal, found ?? UNKNOWN_PORTAL);
        bound.add(portal);
      }
      if (frame.type === CLIENT.execute) {
        const portal = new ByteReader(frame.bytes, 5).text();
        if (!bound.has(portal)) classes.push(this.#portals.get(portal) ?? UNKNOWN_PORTAL);
      }
      if (frame.type === CLIENT.describe || frame.type === CLIENT.close) readTarget(frame.bytes);
      return frame;
    });
    return { frames: read, classes };
  }

  forgetStatements(): void {
    this.#statements.clear();
  }

  /** The server is gone: nothing of what was asked will be answered. */
  forgetUnanswered(): void {
    for (let parse = this.#parsing.pop(); parse !== undefined; parse = this.#parsing.pop()) this.#undo(parse);
  }

  /** Passes one message on, under the names that its statement has on this server. */
  send(server: ServerConnection, { type, bytes, prepared, class: found }: Frame): void {
    if (server.talk.isSkipping && type !== CLIENT.sync) return;
    switch (type) {
      case CLIENT.query:
        server.send(REQUEST.query, bytes, 0, bytes.length);
        return;
      case CLIENT.functionCall:
        server.send(REQUEST.functionCall, bytes, 0, bytes.length);
        return;
      case CLIENT.parse:
        if (prepared !== undefined && found !== undefined) this.#sendParse(server, bytes, { prepared, class: found });
        return;
      case CLIENT.bind:
        this.#sendBind(server, bytes);
        return;
      case CLIENT.describe:
        this.#sendDescribe(server, bytes);
        return;
      case CLIENT.close:
        this.#sendClose(server, bytes);
        return;
      case CLIENT.execute:
        server.send(REQUEST.execute, bytes, 0, bytes.length);
        return;
      case CLIENT.sync:
        server.send(REQUEST.sync, bytes, 0, bytes.length);
        return;
      case CLIENT.flush:
        if (server.talk.flush()) server.pass(bytes, 0, bytes.length);
        return;
      default:
        throw new WireError('unexpected', `a message of type ${type} cannot be passed on`);
    }
  }

  #sendParse(server: ServerConnection, bytes: Buffer, statement: Statement): void {
    const { name } = readParse(bytes);
    const before = this.#statements.get(name);
    if (name !== '' && before !== undefined) {
      // The server's own refusal of a name that is taken: its Parse of that name again.
      const taken = server.prepare(before.prepared);
      const again = Buffer.concat([Buffer.from([CLIENT.parse, 0, 0, 0, 0]), Buffer.from(`${taken}\0select 1\0\0\0`)]);
      again.writeInt32BE(again.length - 1, 1);
      this.#parsing.push({ name, before });
      server.send(REQUEST.parse, again, 0, again.length, NO_STATEMENT);
      return;
    }
    this.#parsing.push({ name, before });
    this.#statements.set(name, statement);
    server.parse(statement.prepared);
  }

  #sendBind(server: ServerConnection, bytes: Buffer): void {
    const { statement } = bindNames(bytes);
    const known = this.#statements.get(statement);
    const renamed = renameBind(bytes, known === undefined ? unknownName(statement) : server.prepare(known.prepared));
    server.send(REQUEST.bind, renamed, 0, renamed.length);
  }

  #sendDescribe(server: ServerConnection, bytes: Buffer): void {
    const { isStatement, name } = readTarget(bytes);
    if (!isStatement) {
      server.send(REQUEST.describePortal, bytes, 0, bytes.length);
      return;
    }
    const known = this.#statements.get(name);
    const wanted = known === undefined ? unknownName(name) : server.prepare(known.prepared);
    const renamed = Buffer.concat([bytes.subarray(0, 6), Buffer.from(`${wanted}\0`)]);
    renamed.writeInt32BE(renamed.length - 1, 1);
    server.send(REQUEST.describeStatement, renamed, 0, renamed.length);
  }

  #sendClose(server: ServerConnection, bytes: Buffer): void {
    const { isStatement, name } = readTarget(bytes);
    if (!isStatement) {
      server.send(REQUEST.close, bytes, 0, bytes.length);
      return;
    }
    this.#statements.delete(name);
    server.standInFor(REQUEST.close, 0);
  }

  /** The server accepted or refused the oldest Parse that is not answered. */
  parsed(isAccepted: boolean): void {
    const parse = this.#parsing.shift();
    if (parse !== undefined && !isAccepted) this.#undo(parse);
  }

  #undo({ name, before }: { readonly name: string; readonly before: Statement | undefined }): void {
    if (before !== undefined && name !== '') this.#statements.set(name, before);
    else this.#statements.delete(name);
  }
}

const NO_STATEMENT = -1;

/** A name that no server connection has. */
const unknownName = (name: string): string => (name.startsWith('understudy_') ? `${name}?` : name);
