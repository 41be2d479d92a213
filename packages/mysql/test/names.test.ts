import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memberId } from '@understudy/core';
import fc from 'fast-check';
import { accountStatements } from '../src/config/accounts.ts';
import { ackAccount, quoteAccount, quoteIdentifier, quoteLiteral } from '../src/names.ts';
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
  });

  it('are made with one statement per line, the password quoted', () => {
    const lines = accountStatements('mysql', "a'b\\c").trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^SET NAMES utf8mb4, sql_mode = .*, autocommit = 1, /);
    assert.equal(lines[2], 'SET SESSION sql_log_bin = 0;');
    assert(lines.every((line) => line.endsWith(';')));
    assert.match(
      lines[3] ?? '',
      /'us_admin'@'localhost' IDENTIFIED BY 'a''b\\\\c' WITH MAX_USER_CONNECTIONS \d+ PASSWORD EXPIRE NEVER/,
    );
    const others = accountStatements('mariadb', "a'b\\c").trimEnd().split('\n');
    assert(others.every((line) => line.endsWith(';')));
    assert.match(
      others[6] ?? '',
      /IF\(@same > 0, 'DO 0', 'ALTER USER ''us_admin''@''localhost'' IDENTIFIED BY ''a''''b\\\\\\\\c'''\)/,
    );
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
