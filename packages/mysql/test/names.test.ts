import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memberId } from '@understudy/core';
import fc from 'fast-check';
import { accountStatements } from '../src/config/accounts.ts';
import {
  accounts,
  ackAccount,
  isAcknowledger,
  knownAs,
  loginOfAccount,
  ownAccount,
  quoteAccount,
  quoteIdentifier,
  quoteLiteral,
} from '../src/names.ts';
import { isNewer, readVersion } from '../src/programs.ts';

describe('accounts', () => {
  it('are short enough for MySQL and different for every member', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
    fc.assert(
      fc.property(name, name, (a, b) => {
        assert(ackAccount(memberId(a)).length <= 32);
        assert.equal(ackAccount(memberId(a)) === ackAccount(memberId(b)), a === b);
      }),
    );
    assert.equal(ackAccount(memberId('n1')), 'us_ack_n1');
    fc.assert(
      fc.property(name, fc.constantFrom('a' as const, 'b' as const), (member, slot) => {
        const own = ownAccount(memberId(member), slot);
        assert(own.length <= 32);
        assert.equal(knownAs(own), ackAccount(memberId(member)));
        assert(isAcknowledger(own));
        assert.equal(loginOfAccount(memberId(member), own), slot);
      }),
    );
    for (const other of Object.values(accounts)) {
      assert(!isAcknowledger(other), other);
      assert.equal(knownAs(other), other);
    }
  });

  it('are made with one statement per line, without the password', () => {
    const password = "a'b\\c";
    const lines = accountStatements('mysql', password).trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^SET NAMES utf8mb4, sql_mode = .*, autocommit = 1, /);
    assert.equal(lines[2], 'SET SESSION sql_log_bin = 0;');
    assert.match(
      lines[3] ?? '',
      /'us_admin'@'localhost' IDENTIFIED WITH caching_sha2_password AS '\$A\$005\$[^']{63}' WITH MAX_USER_CONNECTIONS \d+ PASSWORD EXPIRE NEVER/,
    );
    const others = accountStatements('mariadb', password).trimEnd().split('\n');
    assert.match(
      others[8] ?? '',
      /IF\(@same > 0, 'DO 0', 'ALTER USER ''us_admin''@''localhost'' IDENTIFIED VIA mysql_native_password USING ''\*[0-9A-F]{40}'''\)/,
    );
    for (const line of [...lines, ...others]) {
      assert(line.endsWith(';'));
      assert.doesNotMatch(line, /a'+b/);
    }
  });

  it('of acknowledgers are opened at a start, but for one that its member has left', () => {
    const own = [{ id: '1', slot: 'b', verifier: 'v' }] as const;
    const members = [
      { id: memberId('n1') },
      { id: memberId('n2'), logins: { own, shared: 'in-use' } as const },
      { id: memberId('n3'), logins: { own, shared: 'left' } as const },
    ];
    const last = accountStatements('mysql', 'password', members).trimEnd().split('\n').at(-1);
    const opened = ['us_ack_n1', 'us_ack_n2', 'us_ab_n2', 'us_ab_n3'].map((user) => `'${user}'@'%'`).join(', ');
    assert.equal(last, `ALTER USER IF EXISTS ${opened} ACCOUNT UNLOCK;`);
  });
});

describe('quoting', () => {
  it('keeps text within its quotes', () => {
    assert.equal(quoteLiteral("o'neil\\"), "'o''neil\\\\'");
    assert.equal(quoteIdentifier('a`b'), '`a``b`');
    assert.equal(quoteAccount('u', '%'), "'u'@'%'");
  });
});

describe('versions', () => {
  it('are read from what the servers print', () => {
    const mysql = '/x/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))';
    const mariadb = '/x/mariadbd  Ver 11.8.6-MariaDB-0+deb13u1 from Debian for debian-linux-gnu on x86_64';
    assert.deepEqual(readVersion(mysql), { flavour: 'mysql', version: '9.7.4' });
    assert.deepEqual(readVersion(mariadb), { flavour: 'mariadb', version: '11.8.6' });
    assert.equal(readVersion('mysqld: command not found'), null);
  });

  it('are compared by number, as far as wanted', () => {
    assert.equal(isNewer('10.11.2', '10.6.20'), true);
    assert.equal(isNewer('9.7.5', '9.7.4', 2), false);
    assert.equal(isNewer('9.7.5', '9.7.4'), true);
    assert.equal(isNewer('8.4.0', '9.7.4', 2), false);
  });
});
