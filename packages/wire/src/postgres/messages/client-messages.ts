/** Messages of a client after its login. */

import { ByteReader, ByteWriter } from '../bytes.ts';
import { WireError } from '../error.ts';
import { CLIENT } from '../types.ts';

/** What Describe and Close are about. */
export type Target = 'statement' | 'portal';

/** A value as it is sent; null is SQL's NULL. */
export type Value = Buffer | null;

export type ClientMessage =
  | { readonly kind: 'query'; readonly text: string }
  | { readonly kind: 'parse'; readonly name: string; readonly text: string; readonly types: readonly number[] }
  | {
      readonly kind: 'bind';
      readonly portal: string;
      readonly statement: string;
      /** 0 text, 1 binary: none, one for all, or one for each value. */
      readonly formats: readonly number[];
      readonly values: readonly Value[];
      readonly resultFormats: readonly number[];
    }
  | { readonly kind: 'describe'; readonly target: Target; readonly name: string }
  | { readonly kind: 'execute'; readonly portal: string; readonly maxRows: number }
  | { readonly kind: 'close'; readonly target: Target; readonly name: string }
  | {
      readonly kind: 'function-call';
      readonly functionId: number;
      readonly formats: readonly number[];
      readonly values: readonly Value[];
      readonly resultFormat: number;
    }
  | { readonly kind: 'copy-data'; readonly bytes: Buffer }
  | { readonly kind: 'copy-fail'; readonly text: string }
  | { readonly kind: 'copy-done' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'sync' }
  | { readonly kind: 'terminate' };

/** @throws WireError `malformed` when a text cannot be sent */
export function encodeClientMessage(message: ClientMessage): Buffer {
  const writer = new ByteWriter();
  writeClientMessage(writer, message);
  return writer.done();
}

export function writeClientMessage(writer: ByteWriter, message: ClientMessage): void {
  switch (message.kind) {
    case 'query':
      writer.message(CLIENT.query, (w) => w.text(message.text));
      return;
    case 'parse':
      writer.message(CLIENT.parse, (w) => {
        w.text(message.name).text(message.text).uint16(message.types.length);
        for (const type of message.types) w.uint32(type);
      });
      return;
    case 'bind':
      writer.message(CLIENT.bind, (w) => {
        w.text(message.portal).text(message.statement);
        writeInt16s(w, message.formats);
        writeValues(w, message.values);
        writeInt16s(w, message.resultFormats);
      });
      return;
    case 'describe':
      writer.message(CLIENT.describe, (w) => w.uint8(TARGETS[message.target]).text(message.name));
      return;
    case 'close':
      writer.message(CLIENT.close, (w) => w.uint8(TARGETS[message.target]).text(message.name));
      return;
    case 'execute':
      writer.message(CLIENT.execute, (w) => w.text(message.portal).int32(message.maxRows));
      return;
    case 'function-call':
      writer.message(CLIENT.functionCall, (w) => {
        w.uint32(message.functionId);
        writeInt16s(w, message.formats);
        writeValues(w, message.values);
        w.int16(message.resultFormat);
      });
      return;
    case 'copy-data':
      writer.message(CLIENT.copyData, (w) => w.bytes(message.bytes));
      return;
    case 'copy-fail':
      writer.message(CLIENT.copyFail, (w) => w.text(message.text));
      return;
    case 'copy-done':
    case 'flush':
    case 'sync':
    case 'terminate':
      writer.message(EMPTY_TYPES[message.kind], () => undefined);
      return;
  }
}

const EMPTY_TYPES = {
  'copy-done': CLIENT.copyDone,
  flush: CLIENT.flush,
  sync: CLIENT.sync,
  terminate: CLIENT.terminate,
} as const;
const TARGETS: Readonly<Record<Target, number>> = { statement: 0x53, portal: 0x50 };

function writeInt16s(writer: ByteWriter, values: readonly number[]): void {
  writer.uint16(values.length);
  for (const value of values) writer.int16(value);
}

function writeValues(writer: ByteWriter, values: readonly Value[]): void {
  writer.uint16(values.length);
  for (const value of values) {
    if (value === null) writer.int32(-1);
    else writer.int32(value.length).bytes(value);
  }
}

/**
 * Reads the body of a message. Values are views of `body`.
 *
 * @throws WireError `unknown-type`, `malformed`
 */
export function parseClientMessage(type: number, body: Buffer): ClientMessage {
  const reader = new ByteReader(body);
  const message = readMessage(type, reader);
  reader.done();
  return message;
}

function readMessage(type: number, reader: ByteReader): ClientMessage {
  switch (type) {
    case CLIENT.query:
      return { kind: 'query', text: reader.text() };
    case CLIENT.parse: {
      const [name, text] = [reader.text(), reader.text()];
      return { kind: 'parse', name, text, types: readMany(reader, () => reader.uint32()) };
    }
    case CLIENT.bind: {
      const [portal, statement] = [reader.text(), reader.text()];
      const formats = readMany(reader, () => reader.int16());
      const values = readMany(reader, () => readValue(reader));
      return {
        kind: 'bind',
        portal,
        statement,
        formats,
        values,
        resultFormats: readMany(reader, () => reader.int16()),
      };
    }
    case CLIENT.describe:
      return { kind: 'describe', target: readTarget(reader), name: reader.text() };
    case CLIENT.close:
      return { kind: 'close', target: readTarget(reader), name: reader.text() };
    case CLIENT.execute:
      return { kind: 'execute', portal: reader.text(), maxRows: reader.int32() };
    case CLIENT.functionCall: {
      const functionId = reader.uint32();
      const formats = readMany(reader, () => reader.int16());
      const values = readMany(reader, () => readValue(reader));
      return { kind: 'function-call', functionId, formats, values, resultFormat: reader.int16() };
    }
    case CLIENT.copyData:
      return { kind: 'copy-data', bytes: reader.rest() };
    case CLIENT.copyFail:
      return { kind: 'copy-fail', text: reader.text() };
    case CLIENT.copyDone:
      return { kind: 'copy-done' };
    case CLIENT.flush:
      return { kind: 'flush' };
    case CLIENT.sync:
      return { kind: 'sync' };
    case CLIENT.terminate:
      return { kind: 'terminate' };
    default:
      throw new WireError('unknown-type', `a client cannot send a message of type ${type}`);
  }
}

function readMany<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.uint16();
  const values: T[] = [];
  for (let i = 0; i < count; i++) values.push(read());
  return values;
}

function readValue(reader: ByteReader): Value {
  const length = reader.int32();
  return length === -1 ? null : reader.bytes(length);
}

function readTarget(reader: ByteReader): Target {
  const code = reader.uint8();
  if (code === TARGETS.statement) return 'statement';
  if (code === TARGETS.portal) return 'portal';
  throw new WireError('malformed', 'a message is about neither a statement nor a portal');
}

/**
 * A Bind with another statement name: what follows the name is copied as it is.
 *
 * @param frame the whole message, header included
 * @throws WireError `malformed`
 */
export function renameBind(frame: Buffer, statement: string): Buffer {
  const portalEnd = frame.indexOf(0, 5);
  const nameEnd = portalEnd === -1 ? -1 : frame.indexOf(0, portalEnd + 1);
  if (nameEnd === -1) throw new WireError('malformed', 'a Bind message has no names');
  const nameBytes = Buffer.byteLength(statement);
  const result = Buffer.allocUnsafe(frame.length + nameBytes - (nameEnd - portalEnd - 1));
  frame.copy(result, 0, 0, portalEnd + 1);
  result.write(statement, portalEnd + 1);
  frame.copy(result, portalEnd + 1 + nameBytes, nameEnd);
  result.writeInt32BE(result.length - 1, 1);
  return result;
}

/** Portal and statement of a Bind, without reading its values. @throws WireError `malformed` */
export function bindNames(frame: Buffer): { readonly portal: string; readonly statement: string } {
  const reader = new ByteReader(frame, 5);
  return { portal: reader.text(), statement: reader.text() };
}
