/** What agent and guard write to each other. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Lines, line, parseFromGuard, parseToGuard, type ToGuard } from '../src/guard/protocol.ts';

const SERVER = { pid: 77, startTicks: '5' };

describe('lines between agent and guard', () => {
  it('are read whatever pieces they come in, and nonsense is passed over', () => {
    const message: ToGuard = { kind: 'beat', server: SERVER, untilMs: 1.5, certainty: 'undecided', ask: 3 };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 })), (sizes) => {
        const seen: (ToGuard | null)[] = [];
        const lines = new Lines((text) => seen.push(parseToGuard(text)));
        let text = `${line(message)}nonsense\n{"kind":"beat","server":{"pid":"x"},"untilMs":"soon"}\n${line(message)}`;
        for (const size of sizes) {
          lines.push(text.slice(0, size));
          text = text.slice(size);
        }
        lines.push(text);
        const plain: ToGuard = { kind: 'beat', server: null, untilMs: null, certainty: 'decided', ask: null };
        assert.deepEqual(seen, [message, null, plain, message]);
      }),
    );
    assert.equal(parseFromGuard('{"kind":"answer"}'), null);
    assert.equal(parseToGuard('{"kind":"hello","agent":{"pid":1,"startTicks":"1"}}'), null, 'never process 1');
  });
});
