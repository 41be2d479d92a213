/** Messages of both directions for property tests. */

import fc from 'fast-check';
import type { ClientMessage, ServerMessage } from '../src/postgres/index.ts';
import { STATUS } from '../src/postgres/index.ts';

/** Objects like those that the parsers make. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(fields, { noNullPrototype: true });

const text = fc.string({ maxLength: 12, unit: 'grapheme' }).map((each) => each.replaceAll('\0', ''));
const bytes = fc.uint8Array({ maxLength: 16 }).map((each) => Buffer.from(each));
const value = fc.option(bytes, { nil: null });
const many = <T>(each: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(each, { maxLength: 4 });
const uint32 = fc.nat(0xffff_ffff);
const int16 = fc.integer({ min: -0x8000, max: 0x7fff });
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const target = fc.constantFrom('statement' as const, 'portal' as const);
const format = fc.constantFrom(0, 1);

export const clientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  record({ kind: fc.constant('query' as const), text }),
  record({ kind: fc.constant('parse' as const), name: text, text, types: many(uint32) }),
  record({
    kind: fc.constant('bind' as const),
    portal: text,
    statement: text,
    formats: many(format),
    values: many(value),
    resultFormats: many(format),
  }),
  record({ kind: fc.constantFrom('describe' as const, 'close' as const), target, name: text }),
  record({ kind: fc.constant('execute' as const), portal: text, maxRows: int32 }),
  record({
    kind: fc.constant('function-call' as const),
    functionId: uint32,
    formats: many(format),
    values: many(value),
    resultFormat: format,
  }),
  record({ kind: fc.constant('copy-data' as const), bytes }),
  record({ kind: fc.constant('copy-fail' as const), text }),
  record({
    kind: fc.constantFrom('copy-done' as const, 'flush' as const, 'sync' as const, 'terminate' as const),
  }),
);

const column = record({
  name: text,
  tableId: uint32,
  columnNumber: int16,
  typeId: uint32,
  typeSize: int16,
  typeModifier: int32,
  format,
});
const fields = record({
  severity: fc.constantFrom('ERROR' as const, 'FATAL' as const, 'WARNING' as const),
  code: fc.constantFrom('XX000', '57P01', '22012'),
  message: text,
  detail: text,
  hint: text,
  others: fc.constant(new Map([['R', 'routine']])),
});

export const serverMessage: fc.Arbitrary<ServerMessage> = fc.oneof(
  record({ kind: fc.constant('backend-key-data' as const), processId: uint32, secret: bytes }),
  record({ kind: fc.constant('parameter-status' as const), name: text, value: text }),
  record({
    kind: fc.constant('ready-for-query' as const),
    status: fc.constantFrom(STATUS.idle, STATUS.inTransaction, STATUS.failed),
  }),
  record({ kind: fc.constant('command-complete' as const), tag: text }),
  record({ kind: fc.constant('row-description' as const), columns: many(column) }),
  record({ kind: fc.constant('data-row' as const), values: many(value) }),
  record({ kind: fc.constant('parameter-description' as const), types: many(uint32) }),
  record({ kind: fc.constantFrom('error' as const, 'notice' as const), fields }),
  record({ kind: fc.constant('notification' as const), processId: uint32, channel: text, payload: text }),
  record({
    kind: fc.constantFrom('copy-in' as const, 'copy-out' as const, 'copy-both' as const),
    format: record({ format, columnFormats: many(format) }),
  }),
  record({ kind: fc.constant('copy-data' as const), bytes }),
  record({ kind: fc.constant('function-result' as const), value }),
  record({
    kind: fc.constantFrom(
      'parse-complete' as const,
      'bind-complete' as const,
      'close-complete' as const,
      'no-data' as const,
      'portal-suspended' as const,
      'empty-query' as const,
      'copy-done' as const,
    ),
  }),
);
