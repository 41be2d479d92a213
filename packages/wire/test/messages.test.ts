// Goal: what is written is read back as it was, and a message that was cut, lengthened or damaged is refused or read, never crashed on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bindNames,
  encodeClientMessage,
  encodeError,
  encodeServerMessage,
  parseClientMessage,
  parseErrorFields,
  parseServerMessage,
  renameBind,
  sqlStateOf,
  WireError,
} from '../src/postgres/index.ts';
import { clientMessage, serverMessage } from './arbitraries.ts';

const directions = [
  ['client', clientMessage.map((each) => [each, encodeClientMessage(each)] as const), parseClientMessage],
  ['server', serverMessage.map((each) => [each, encodeServerMessage(each)] as const), parseServerMessage],
] as const;

for (const [direction, pair, parse] of directions) {
  test(`${direction}: read back as written`, () => {
    fc.assert(
      fc.property(pair, ([message, frame]) => {
        assert.equal(frame.readInt32BE(1), frame.length - 1);
        assert.deepEqual(parse(frame[0] as number, frame.subarray(5)), message);
      }),
      { numRuns: 1_000 },
    );
  });

  test(`${direction}: cut anywhere or with a byte changed, it is read or refused`, () => {
    fc.assert(
      fc.property(pair, fc.nat(), fc.nat(255), ([, frame], at, byte) => {
        const damaged = Buffer.from(frame);
        damaged[5 + (at % Math.max(1, frame.length - 5))] = byte;
        for (let end = 5; end <= frame.length; end++) {
          for (const bytes of [frame, damaged]) readOrRefuse(() => parse(bytes[0] as number, bytes.subarray(5, end)));
        }
      }),
      { numRuns: 500 },
    );
  });
}

function readOrRefuse(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof WireError, `${error}`);
  }
}

test('a Bind gets another statement name and keeps all the rest', () => {
  fc.assert(
    fc.property(clientMessage, fc.constantFrom('', 'r_1', 'größer'), (message, name) => {
      if (message.kind !== 'bind') return;
      const frame = encodeClientMessage(message);
      const renamed = renameBind(frame, name);
      assert.deepEqual(parseClientMessage(renamed[0] as number, renamed.subarray(5)), { ...message, statement: name });
      assert.deepEqual(bindNames(renamed), { portal: message.portal, statement: name });
    }),
    { numRuns: 2_000 },
  );
});

test('text with a zero byte is never written', () => {
  assert.throws(() => encodeClientMessage({ kind: 'query', text: 'select 1\0; drop table t' }), WireError);
  const error = encodeError({ severity: 'ERROR', code: '22000', message: 'a\0b' });
  assert.equal(parseErrorFields(error.subarray(5)).message, 'a b');
});

test('an error without SQLSTATE, severity or end is an error all the same', () => {
  const body = Buffer.from('Mno code\0\0');
  assert.equal(parseErrorFields(body).code, 'XX000');
  assert.equal(parseErrorFields(body).severity, 'ERROR');
  const frame = Buffer.concat([Buffer.from([0x45, 0, 0, 0, 4 + body.length]), body]);
  assert.equal(sqlStateOf(frame, 0, frame.length), 'XX000');
  assert.equal(parseErrorFields(Buffer.alloc(0)).code, 'XX000');
});

test('the SQLSTATE is found without reading the rest', () => {
  const frame = encodeError({ severity: 'FATAL', code: '57P01', message: 'C is for cut' });
  assert.equal(sqlStateOf(frame, 0, frame.length), '57P01');
  const shifted = Buffer.concat([Buffer.from('Cxxxx\0'), frame, Buffer.from('Cyyyyy\0')]);
  assert.equal(sqlStateOf(shifted, 6, 6 + frame.length), '57P01');
});
