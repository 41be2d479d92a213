import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { matches, verifierOf } from '../src/sql/verifier.ts';

describe('what a server stores of a password', () => {
  it('is as MariaDB makes it', () => {
    // SELECT PASSWORD('password')
    assert.equal(verifierOf('mariadb', 'password'), '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19');
  });

  it('is as MySQL makes it, with a salt of its own', () => {
    const made = verifierOf('mysql', 'hello');
    assert.match(made, /^\$A\$005\$[./0-9A-Za-z]{63}$/);
    assert(matches('mysql', made, 'hello'));
    assert(!matches('mysql', made, 'Hello'));
    assert.notEqual(made, verifierOf('mysql', 'hello'), 'with a salt of its own');
  });
});
