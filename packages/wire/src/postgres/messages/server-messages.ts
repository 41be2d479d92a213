/** Messages of a server after the login. */

import { ByteReader, ByteWriter } from '../bytes.ts';
import { WireError } from '../error.ts';
import { SERVER, STATUS, type TransactionStatus } from '../types.ts';
import { type ErrorFields, encodeError, encodeNotice, parseErrorFields } from './error-fields.ts';

/** A column of a result. */
export interface Column {
  readonly name: string;
  readonly tableId: number;
  readonly columnNumber: number;
  readonly typeId: number;
  readonly typeSize: number;
  readonly typeModifier: number;
  /** 0 text, 1 binary. */
  readonly format: number;
}

export interface CopyFormat {
  readonly format: number;
  readonly columnFormats: readonly number[];
}

export type ServerMessage =
  | { readonly kind: 'backend-key-data'; readonly processId: number; readonly secret: Buffer }
  | { readonly kind: 'parameter-status'; readonly name: string; readonly value: string }
  | { readonly kind: 'ready-for-query'; readonly status: TransactionStatus }
  | { readonly kind: 'command-complete'; readonly tag: string }
  | { readonly kind: 'row-description'; readonly columns: readonly Column[] }
  | { readonly kind: 'data-row'; readonly values: readonly (Buffer | null)[] }
  | { readonly kind: 'parameter-description'; readonly types: readonly number[] }
  | { readonly kind: 'error'; readonly fields: ErrorFields }
  | { readonly kind: 'notice'; readonly fields: ErrorFields }
  | { readonly kind: 'notification'; readonly processId: number; readonly channel: string; readonly payload: string }
  | { readonly kind: 'copy-in' | 'copy-out' | 'copy-both'; readonly format: CopyFormat }
  | { readonly kind: 'copy-data'; readonly bytes: Buffer }
  | { readonly kind: 'function-result'; readonly value: Buffer | null }
  | { readonly kind: EmptyKind };

const EMPTY_TYPES = {
  'parse-complete': SERVER.parseComplete,
  'bind-complete': SERVER.bindComplete,
  'close-complete': SERVER.closeComplete,
  'no-data': SERVER.noData,
  'portal-suspended': SERVER.portalSuspended,
  'empty-query': SERVER.emptyQueryResponse,
  'copy-done': SERVER.copyDone,
} as const;
type EmptyKind = keyof typeof EMPTY_TYPES;
const EMPTY_KINDS = new Map<number, EmptyKind>(
  Object.entries(EMPTY_TYPES).map(([kind, type]) => [type, kind as EmptyKind]),
);
const COPY_TYPES = {
  'copy-in': SERVER.copyInResponse,
  'copy-out': SERVER.copyOutResponse,
  'copy-both': SERVER.copyBothResponse,
} as const;

/** @throws WireError `malformed` when a text cannot be sent */
export function encodeServerMessage(message: ServerMessage): Buffer {
  switch (message.kind) {
    case 'error':
      return encodeError(message.fields);
    case 'notice':
      return encodeNotice(message.fields);
    default: {
      const writer = new ByteWriter();
      write(writer, message);
      return writer.done();
    }
  }
}

function write(writer: ByteWriter, message: Exclude<ServerMessage, { kind: 'error' | 'notice' }>): void {
  switch (message.kind) {
    case 'backend-key-data':
      writer.message(SERVER.backendKeyData, (w) => w.uint32(message.processId).bytes(message.secret));
      return;
    case 'parameter-status':
      writer.message(SERVER.parameterStatus, (w) => w.text(message.name).text(message.value));
      return;
    case 'ready-for-query':
      writer.message(SERVER.readyForQuery, (w) => w.uint8(message.status));
      return;
    case 'command-complete':
      writer.message(SERVER.commandComplete, (w) => w.text(message.tag));
      return;
    case 'row-description':
      writer.message(SERVER.rowDescription, (w) => writeColumns(w, message.columns));
      return;
    case 'data-row':
      writer.message(SERVER.dataRow, (w) => writeRow(w, message.values));
      return;
    case 'parameter-description':
      writer.message(SERVER.parameterDescription, (w) => {
        w.uint16(message.types.length);
        for (const type of message.types) w.uint32(type);
      });
      return;
    case 'notification':
      writer.message(SERVER.notificationResponse, (w) =>
        w.uint32(message.processId).text(message.channel).text(message.payload),
      );
      return;
    case 'copy-in':
    case 'copy-out':
    case 'copy-both':
      writer.message(COPY_TYPES[message.kind], (w) => {
        w.uint8(message.format.format).uint16(message.format.columnFormats.length);
        for (const each of message.format.columnFormats) w.int16(each);
      });
      return;
    case 'copy-data':
      writer.message(SERVER.copyData, (w) => w.bytes(message.bytes));
      return;
    case 'function-result':
      writer.message(SERVER.functionCallResponse, (w) => writeValue(w, message.value));
      return;
    default:
      writer.message(EMPTY_TYPES[message.kind], () => undefined);
  }
}

function writeColumns(writer: ByteWriter, columns: readonly Column[]): void {
  writer.uint16(columns.length);
  for (const { name, tableId, columnNumber, typeId, typeSize, typeModifier, format } of columns) {
    writer.text(name).uint32(tableId).int16(columnNumber).uint32(typeId).int16(typeSize).int32(typeModifier);
    writer.int16(format);
  }
}

function writeRow(writer: ByteWriter, values: readonly (Buffer | null)[]): void {
  writer.uint16(values.length);
  for (const value of values) writeValue(writer, value);
}

function writeValue(writer: ByteWriter, value: Buffer | null): void {
  if (value === null) writer.int32(-1);
  else writer.int32(value.length).bytes(value);
}

/**
 * Reads the body of a message. Values are views of `body`.
 *
 * @throws WireError `unknown-type`, `malformed`
 */
export function parseServerMessage(type: number, body: Buffer): ServerMessage {
  if (type === SERVER.errorResponse) return { kind: 'error', fields: parseErrorFields(body) };
  if (type === SERVER.noticeResponse) return { kind: 'notice', fields: parseErrorFields(body) };
  const reader = new ByteReader(body);
  const message = readMessage(type, reader);
  reader.done();
  return message;
}

function readMessage(type: number, reader: ByteReader): ServerMessage {
  const empty = EMPTY_KINDS.get(type);
  if (empty !== undefined) return { kind: empty };
  switch (type) {
    case SERVER.backendKeyData:
      return { kind: 'backend-key-data', processId: reader.uint32(), secret: Buffer.from(reader.rest()) };
    case SERVER.parameterStatus:
      return { kind: 'parameter-status', name: reader.text(), value: reader.text() };
    case SERVER.readyForQuery:
      return { kind: 'ready-for-query', status: checkedStatus(reader.uint8()) };
    case SERVER.commandComplete:
      return { kind: 'command-complete', tag: reader.text() };
    case SERVER.rowDescription:
      return { kind: 'row-description', columns: readMany(reader, () => readColumn(reader)) };
    case SERVER.dataRow:
      return { kind: 'data-row', values: readMany(reader, () => readValue(reader)) };
    case SERVER.parameterDescription:
      return { kind: 'parameter-description', types: readMany(reader, () => reader.uint32()) };
    case SERVER.notificationResponse:
      return { kind: 'notification', processId: reader.uint32(), channel: reader.text(), payload: reader.text() };
    case SERVER.copyInResponse:
      return { kind: 'copy-in', format: readCopyFormat(reader) };
    case SERVER.copyOutResponse:
      return { kind: 'copy-out', format: readCopyFormat(reader) };
    case SERVER.copyBothResponse:
      return { kind: 'copy-both', format: readCopyFormat(reader) };
    case SERVER.copyData:
      return { kind: 'copy-data', bytes: reader.rest() };
    case SERVER.functionCallResponse:
      return { kind: 'function-result', value: readValue(reader) };
    default:
      throw new WireError('unknown-type', `a server cannot send a message of type ${type}`);
  }
}

/** @throws WireError `malformed` for anything but I, T and E */
export function checkedStatus(code: number): TransactionStatus {
  if (code !== STATUS.idle && code !== STATUS.inTransaction && code !== STATUS.failed) {
    throw new WireError('malformed', `a server is ready in the unknown state ${code}`);
  }
  return code;
}

function readColumn(reader: ByteReader): Column {
  return {
    name: reader.text(),
    tableId: reader.uint32(),
    columnNumber: reader.int16(),
    typeId: reader.uint32(),
    typeSize: reader.int16(),
    typeModifier: reader.int32(),
    format: reader.int16(),
  };
}

function readCopyFormat(reader: ByteReader): CopyFormat {
  const format = reader.uint8();
  return { format, columnFormats: readMany(reader, () => reader.int16()) };
}

function readMany<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.uint16();
  const values: T[] = [];
  for (let i = 0; i < count; i++) values.push(read());
  return values;
}

function readValue(reader: ByteReader): Buffer | null {
  const length = reader.int32();
  return length === -1 ? null : reader.bytes(length);
}
