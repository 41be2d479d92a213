import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSqlState } from '../src/host/errors.ts';

test('an SQLSTATE is what a server said; a code of the system with five letters is not', () => {
  for (const code of ['57P01', 'XX000', '25006', 'HV00A', 'F0000', 'P0001']) assert.equal(isSqlState(code), true, code);
  for (const code of ['EPIPE', 'EPERM', 'EBUSY', 'ENXIO', 'EBADF', 'ECONNRESET', '', null, undefined]) {
    assert.equal(isSqlState(code), false, String(code));
  }
});
