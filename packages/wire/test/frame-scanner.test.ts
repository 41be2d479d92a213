// Goal: whatever pieces a stream comes in, the same messages come out, and no bytes make the scanner do anything but refuse them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CLIENT,
  clientFrames,
  encodeClientMessage,
  encodeServerMessage,
  FrameScanner,
  type FrameSink,
  type FrameTable,
  SERVER,
  serverFrames,
  WireError,
  type WireErrorCode,
} from '../src/postgres/index.ts';
import { clientMessage, serverMessage } from './arbitraries.ts';

interface Got {
  readonly type: number;
  readonly bytes: string;
}

/** Collects messages; streamed ones are put together from their pieces. */
class Collector implements FrameSink {
  readonly got: Got[] = [];
  #pieces: Buffer[] = [];

  frame(type: number, bytes: Buffer, start: number, end: number): boolean {
    assert.equal(this.#pieces.length, 0, 'a message began inside another');
    this.got.push({ type, bytes: bytes.toString('hex', start, end) });
    return true;
  }

  piece(type: number, bytes: Buffer, start: number, end: number, isLast: boolean): boolean {
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
    if (isLast) {
      this.got.push({ type, bytes: Buffer.concat(this.#pieces).toString('hex') });
      this.#pieces = [];
    }
    return true;
  }
}

function scanPieces(table: FrameTable, stream: Buffer, cuts: readonly number[]): { got: Got[]; isWhole: boolean } {
  const scanner = new FrameScanner(table);
  const collector = new Collector();
  let start = 0;
  for (const cut of [...cuts, stream.length]) {
    // A copy, so that a message kept by reference would show up as damaged.
    const chunk = Buffer.from(stream.subarray(start, cut));
    assert.equal(scanner.scan(chunk, 0, chunk.length, collector), chunk.length);
    chunk.fill(0xff);
    start = cut;
  }
  return { got: collector.got, isWhole: scanner.isBetweenMessages };
}

const streams = [
  ['client', clientFrames(), clientMessage.map(encodeClientMessage)],
  ['server', serverFrames(), serverMessage.map(encodeServerMessage)],
] as const;

for (const [direction, table, message] of streams) {
  test(`${direction}: cut at every byte, the same messages come out`, () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), (messages) => {
        const stream = Buffer.concat(messages);
        const expected = messages.map((each) => ({ type: each[0], bytes: each.toString('hex') }));
        for (let cut = 0; cut <= stream.length; cut++) {
          assert.deepEqual(scanPieces(table, stream, [cut]), { got: expected, isWhole: true });
        }
        const everyByte = Array.from({ length: stream.length }, (_, at) => at);
        assert.deepEqual(scanPieces(table, stream, everyByte).got, expected);
      }),
      { numRuns: 100 },
    );
  });

  test(`${direction}: any bytes are read or refused, and nothing is lost silently`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(64), (bytes, at) => {
        const stream = Buffer.from(bytes);
        try {
          const { got, isWhole } = scanPieces(table, stream, [Math.min(at, stream.length)]);
          const read = got.reduce((sum, each) => sum + each.bytes.length / 2, 0);
          assert.equal(read === stream.length, isWhole);
        } catch (error) {
          assert.ok(error instanceof WireError, `${error}`);
        }
      }),
      { numRuns: 2_000 },
    );
  });
}

test('a sink that stops leaves the rest of the chunk unread', () => {
  const scanner = new FrameScanner(clientFrames());
  const query = encodeClientMessage({ kind: 'query', text: 'select 1' });
  const chunk = Buffer.concat([query, query, query]);
  let frames = 0;
  const sink: FrameSink = { frame: () => ++frames % 2 === 0, piece: () => true };
  assert.equal(scanner.scan(chunk, 0, chunk.length, sink), query.length);
  assert.equal(scanner.scan(chunk, query.length, chunk.length, sink), chunk.length);
  assert.equal(frames, 3);
});

const header = (type: number, length: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes[0] = type;
  bytes.writeUInt32BE(length >>> 0, 1);
  return bytes;
};

const refusals: readonly (readonly [string, Buffer, WireErrorCode])[] = [
  ['a length below its own four bytes', header(CLIENT.query, 3), 'bad-length'],
  ['a length of zero', header(CLIENT.sync, 0), 'bad-length'],
  ['a length beyond 2^31', header(CLIENT.query, 0x8000_0001), 'bad-length'],
  ['a length of 2^32 - 1', header(CLIENT.copyData, 0xffff_ffff), 'bad-length'],
  ['more than a statement may have', header(CLIENT.query, 65 * 1024 * 1024), 'too-long'],
  ['more than a word may have', header(CLIENT.close, 65 * 1024), 'too-long'],
  ['a type of the other direction', header(SERVER.readyForQuery, 5), 'unknown-type'],
  ['a type that nobody has', header(0, 4), 'unknown-type'],
];

for (const [name, bytes, code] of refusals) {
  test(`refused by its header alone: ${name}`, () => {
    for (const cut of [0, 1, 4]) {
      assert.throws(
        () => scanPieces(clientFrames(), bytes, [cut]),
        (error) => error instanceof WireError && error.code === code,
      );
    }
  });
}

test('a length that is only announced takes no memory', () => {
  const before = process.memoryUsage().arrayBuffers;
  const scanners = Array.from({ length: 200 }, () => new FrameScanner(clientFrames()));
  const sink = new Collector();
  for (const scanner of scanners) scanner.scan(header(CLIENT.query, 60 * 1024 * 1024), 0, 5, sink);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024);
});
