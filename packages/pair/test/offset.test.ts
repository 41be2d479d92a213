// Goal: places in a log are read, compared and measured rightly, and everything that speaks against replication by them is found. Method:
// properties; servers described by values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkServers, compareSeries } from '../src/offset/checks.ts';
import type { ServerFacts } from '../src/offset/facts.ts';
import { parseLogin, parseOptionFile } from '../src/offset/login.ts';
import {
  bytesBetween,
  comparePositions,
  fileName,
  formatPosition,
  type LogPosition,
  parsePosition,
} from '../src/offset/position.ts';
import { clientFile } from '../src/offset/setup.ts';
import { stepsToGtid } from '../src/offset/to-gtid.ts';

const position: fc.Arbitrary<LogPosition> = fc.record({
  base: fc.constantFrom('binlog', 'mysql-bin', 'a.b'),
  file: fc.integer({ min: 1, max: 2_000_000 }),
  offset: fc.bigInt({ min: 4n, max: 1n << 40n }),
});

test('what is written is read again, also beyond file 999999', () => {
  fc.assert(fc.property(position, (each) => assert.deepEqual(parsePosition(formatPosition(each)), { ...each })));
  assert.deepEqual(parsePosition('binlog.000012:345'), { base: 'binlog', file: 12, offset: 345n });
  for (const text of ['', 'binlog:4', 'binlog.12:4', 'binlog.000012', 'binlog.000012:x'])
    assert.equal(parsePosition(text), null);
});

test('places of one log are in one order; those of logs with other names in none', () => {
  fc.assert(
    fc.property(position, position, position, (a, b, c) => {
      const order = comparePositions(a, b);
      if (a.base !== b.base) return assert.equal(order, null);
      const back = comparePositions(b, a);
      assert.equal(order, back === null ? null : back === 0 ? 0 : -back);
      if (order !== null && order <= 0 && c.base === b.base && (comparePositions(b, c) ?? 1) <= 0) {
        assert.ok((comparePositions(a, c) ?? 1) <= 0);
      }
    }),
  );
});

test('the bytes between two places: nothing from a place to itself, and parts add up over files', () => {
  const log = fc.array(fc.bigInt({ min: 200n, max: 1000n }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(log, fc.nat(), fc.nat(), fc.nat(), (sizes, ...picks) => {
      const files = sizes.map((sizeBytes, index) => ({
        name: fileName({ base: 'binlog', file: index + 1, offset: 0n }),
        sizeBytes,
      }));
      const total = sizes.reduce((sum, size) => sum + size, 0n);
      const at = (pick: number): LogPosition => {
        let left = BigInt(pick) % total;
        for (const [index, size] of sizes.entries()) {
          if (left < size) return { base: 'binlog', file: index + 1, offset: left };
          left -= size;
        }
        throw new Error('beyond the end');
      };
      const [a, b, c] = picks
        .map((pick) => BigInt(pick) % total)
        .toSorted((x, y) => (x < y ? -1 : 1))
        .map((each) => at(Number(each)));
      assert.ok(a !== undefined && b !== undefined && c !== undefined);
      const [ab, bc, ac] = [bytesBetween(a, b, files), bytesBetween(b, c, files), bytesBetween(a, c, files)];
      assert.ok(ab !== null && bc !== null);
      assert.equal(ac, ab + bc);
      assert.equal(bytesBetween(a, a, files), 0n);
      if (ac !== 0n) assert.equal(bytesBetween(c, a, files), null);
    }),
  );
  const far = { base: 'binlog', file: 3, offset: 10n };
  assert.equal(bytesBetween({ ...far, file: 1 }, far, []), null, 'a file that is gone has no size');
});

const good: ServerFacts = {
  name: 'p',
  host: '127.0.0.1',
  port: 3306,
  flavour: 'mysql',
  version: '9.7.4',
  serverId: 1,
  uuid: 'a',
  gtidMode: 'OFF',
  logBin: 'on',
  binlogFormat: 'ROW',
  rowImage: 'FULL',
  logsUpdates: 'yes',
  writes: 'open',
  logFilters: [],
  otherEngines: [],
  schemas: ['app'],
  end: { base: 'binlog', file: 2, offset: 400n },
  files: [],
  dumps: 1,
  replica: null,
};
const place = { base: 'binlog', file: 2, offset: 400n };
const fine = { state: 'running', error: null } as const;
const follower: ServerFacts = {
  ...good,
  name: 'r',
  port: 3307,
  serverId: 2,
  uuid: 'b',
  writes: 'closed',
  dumps: 0,
  replica: {
    sourceHost: '127.0.0.1',
    sourcePort: 3306,
    receiver: fine,
    applier: fine,
    received: place,
    executed: place,
    behindS: 0,
    usesGtids: 'no',
    filters: [],
  },
};
const empty: ServerFacts = { ...follower, replica: null, schemas: [] };

test('two servers that are as they should be are not objected to', () => {
  assert.deepEqual(checkServers(good, empty, 'setup'), []);
  assert.deepEqual(checkServers(good, follower, 'switchover'), []);
});

const channel = follower.replica;
const wrong: readonly (readonly ['setup' | 'switchover', Partial<ServerFacts>, Partial<ServerFacts>, RegExp])[] = [
  ['setup', { logBin: 'off' }, {}, /binary log is off/],
  ['setup', { binlogFormat: 'STATEMENT' }, {}, /binlog_format is STATEMENT/],
  ['setup', { rowImage: 'MINIMAL' }, {}, /row_image is MINIMAL/],
  ['setup', {}, { serverId: 1 }, /server_id is 1 on both/],
  ['setup', {}, { uuid: 'a' }, /server_uuid is the same/],
  ['setup', { gtidMode: 'ON' }, {}, /has GTIDs/],
  ['setup', { logFilters: ['Binlog_Do_DB=app'] }, {}, /filters: Binlog_Do_DB/],
  ['setup', { otherEngines: ['app.old (MyISAM)'] }, {}, /not InnoDB: app\.old/],
  ['setup', { version: '9.8.0' }, {}, /older than the primary's/],
  ['setup', {}, { flavour: 'mariadb' }, /It is mariadb/],
  ['setup', {}, { schemas: ['x'] }, /holds data already: x/],
  ['switchover', {}, { replica: null }, /not a replica/],
  ['switchover', {}, { version: '9.8.0' }, /could not follow it/],
  ['switchover', { dumps: 2 }, {}, /2 replicas hang on it/],
  ['switchover', {}, { writes: 'open' }, /takes writes/],
  ['switchover', { replica: channel }, {}, /is a replica itself/],
];
for (const [purpose, ofPrimary, ofReplica, text] of wrong) {
  test(`refused, with what to do: ${purpose}, ${text.source}`, () => {
    const replica = purpose === 'setup' ? empty : follower;
    const found = checkServers({ ...good, ...ofPrimary }, { ...replica, ...ofReplica }, purpose);
    const refusal = found.find((each) => text.test(each.text));
    assert.equal(refusal?.weight, 'refuse', JSON.stringify(found));
    assert.ok((refusal?.fix.length ?? 0) > 10);
  });
}

test('a stopped applier forbids a switchover and is named with its error', () => {
  assert.ok(channel !== null);
  const stopped = { state: 'stopped', error: { number: 1062, text: 'Duplicate entry' } } as const;
  const found = checkServers(good, { ...follower, replica: { ...channel, applier: stopped } }, 'switchover');
  assert.match(found.map(({ text }) => text).join(), /applier is stopped \(error 1062\)/);
});

test('versions go by their first two numbers', () => {
  assert.equal(compareSeries('9.7.4', '9.7.1'), 0);
  assert.ok(compareSeries('10.11.9', '11.4.1') < 0);
  assert.ok(compareSeries('8.4.0', '8.0.40') > 0);
});

test('who logs in where: addresses and option files, and no password where everybody can read it', () => {
  assert.deepEqual(
    parseLogin('mysql://root@db1.example:3307', {}, () => ''),
    {
      host: 'db1.example',
      port: 3307,
      user: 'root',
      password: '',
      plain: 'loopback',
    },
  );
  assert.equal(parseLogin('mysql://root@h', { MYSQL_PWD: 'x' }, () => '').password, 'x');
  assert.throws(
    () => parseLogin('mysql://root:secret@h', {}, () => ''),
    (error: Error) => {
      assert.doesNotMatch(error.message, /secret/);
      return /password/.test(error.message);
    },
  );
  const file = '# mine\n[mysqld]\nport=1\n[client]\nhost = db2\nport=3310\nuser="us er"\npassword=\'a#b\'\n';
  assert.deepEqual(parseOptionFile(file), { host: 'db2', port: '3310', user: 'us er', password: 'a#b' });
  assert.deepEqual(
    parseLogin('/etc/x.cnf', {}, () => file),
    { host: 'db2', port: 3310, user: 'us er', password: 'a#b', plain: 'loopback' },
  );
});

test('names of hosts are checked where there is TLS, and a key is asked for only here, unless the option file says otherwise', () => {
  const file = (...lines: string[]) => parseLogin('/x', {}, () => ['[client]', 'host=10.0.0.1', ...lines].join('\n'));
  const checked = file('ssl-ca=/ca.pem');
  assert.deepEqual(checked.ca, { file: '/ca.pem', verify: 'full' });
  assert.equal(file('ssl_ca=/ca.pem', 'ssl-mode=VERIFY_CA').ca?.verify, 'ca');
  assert.equal(file('ssl-ca=/ca.pem', 'ssl-verify-server-cert=0').ca?.verify, 'ca');
  assert.match(clientFile('mysql', checked), /ssl-mode=VERIFY_IDENTITY\nssl-ca="\/ca\.pem"/);
  assert.match(clientFile('mariadb', checked), /ssl-ca="\/ca\.pem"\nssl-verify-server-cert=1/);
  assert.doesNotMatch(clientFile('mysql', file()), /get-server-public-key/);
  assert.match(clientFile('mysql', file('skip-ssl')), /ssl-mode=DISABLED\nget-server-public-key/);
  assert.match(clientFile('mysql', parseLogin('mysql://root@127.0.0.1', {}, String)), /get-server-public-key/);
});

test('the way to GTIDs is said for each product', () => {
  assert.match(stepsToGtid('mysql').join('\n'), /ON_PERMISSIVE(.|\n)*SOURCE_AUTO_POSITION = 1/);
  assert.match(stepsToGtid('mariadb').join('\n'), /MASTER_USE_GTID = slave_pos/);
});
