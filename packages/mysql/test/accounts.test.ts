import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { faultsOf, type StoredAccount } from '../src/accounts.ts';

describe('an account of a member’s own', () => {
  const whole: StoredAccount = { verifier: 'v', lock: 'open', mayReplicate: 'yes' };
  const login = { verifier: 'v' };

  it('lets its member in only with its password, its right, and unlocked while the member counts', () => {
    assert.deepEqual(faultsOf(whole, login, 'yes'), []);
    assert.deepEqual(faultsOf({ ...whole, verifier: 'w' }, login, 'yes'), ['verifier']);
    assert.deepEqual(faultsOf({ ...whole, mayReplicate: 'no' }, login, 'no'), ['right']);
    assert.deepEqual(faultsOf({ ...whole, lock: 'locked' }, login, 'yes'), ['lock']);
  });

  it('is locked rightly while its member does not count', () => {
    assert.deepEqual(faultsOf({ ...whole, lock: 'locked' }, login, 'no'), []);
  });
});
