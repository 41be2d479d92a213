// Goal: what MySQL and MariaDB say is taken for what it proves. Method: values as the real servers give them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countGtids, lineOfMariadb, lineOfMysql, sequenceOf } from '../src/database/gtids.ts';
import { outcomeOfNumber } from '../src/database/mysql-outcome.ts';
import { walFile } from '../src/database/unapplied.ts';

const cluster = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

test("the newest line of MySQL is the greatest number of the cluster's own source", () => {
  assert.equal(lineOfMysql(`${cluster}:1-5`, cluster), 5);
  assert.equal(lineOfMysql(`a0000000-0000-0000-0000-000000000001:1-90,\n${cluster.toUpperCase()}:1-2:7`, cluster), 7);
  assert.equal(lineOfMysql(`${cluster}:3`, cluster), 3);
  assert.equal(lineOfMysql('a0000000-0000-0000-0000-000000000001:1-90', cluster), 1, 'a new database');
  assert.equal(lineOfMysql('', cluster), 1);
});

test('the line of MariaDB is the upper part of the sequence number', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 20 - 1 }),
      fc.bigInt({ min: 0n, max: 2n ** 44n - 1n }),
      (line, counter) => {
        const sequence = (BigInt(line) << 44n) + counter;
        assert.equal(sequenceOf(`0-3-${sequence}`), sequence);
        assert.equal(lineOfMariadb(`0-3-${sequence}`), line);
      },
    ),
  );
  assert.equal(lineOfMariadb('0-1-90'), 1, 'a new database');
  assert.equal(lineOfMariadb(''), null);
  assert.equal(lineOfMariadb('7-1-5'), null);
  assert.equal(sequenceOf('7-1-5,0-2-9'), 9n);
});

test('a write that a read-only server refused did not happen; what ends a session proves nothing', () => {
  for (const number of [1290, 1836, 1213, 1040]) assert.equal(outcomeOfNumber(number), 'fail');
  for (const number of [1053, 1180, 1317, 1598, 1927, 3024, 4031, null]) assert.equal(outcomeOfNumber(number), 'info');
});

test('transactions in a set are counted, also single and tagged ones', () => {
  assert.equal(countGtids(''), 0);
  assert.equal(countGtids(`${cluster}:7`), 1);
  assert.equal(countGtids(`${cluster}:1-5:9,\na0000000-0000-0000-0000-000000000001:nightly:1-2`), 8);
});

test("a position's segment has the name that PostgreSQL gives it", () => {
  const megabytes = 1024n * 1024n;
  assert.equal(walFile(1n, 0x1_6000_0000n, 16n * megabytes), '000000010000000100000060');
  assert.equal(walFile(0x1fn, 0xff_ffff_ffffn, 16n * megabytes), '0000001F000000FF000000FF');
  assert.equal(walFile(2n, 0x1_0400_0000n, 64n * megabytes), '000000020000000100000001');
});
