// Goal: what servers and their logs say about a conflict is read rightly. Method: texts as both products write them; properties.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { differing, judge } from '../src/decide/judge.ts';
import { missingFrom, positionText, readPosition } from '../src/decide/positions.ts';
import { readDecodedLog, valueText } from '../src/decide/rows.ts';
import { firstUnexecuted, isAboutRows, meaningOf, readStopText } from '../src/decide/stops.ts';

const mysqlLog = `# at 1001
#261121  7:23:29 server id 2  end_log_pos 1080 CRC32 0x8 \tGTID\tlast_committed=3\tsequence_number=4
SET @@SESSION.GTID_NEXT= '72A36DCE-e57c-11f1-a2bb-02fc00000001:7'/*!*/;
BEGIN
### UPDATE \`app\`.\`a\`\`b\`
### WHERE
###   @1=-1 (18446744073709551615)
###   @2='it\\x27s \\xc3\\xa4 \\x5c'
###   @3=NULL
### SET
###   @1=5
###   @2='2026:01:02'
###   @3=1.50
### DELETE FROM \`app\`.\`t\`
### WHERE
###   @1=3
COMMIT/*!*/;
SET @@SESSION.GTID_NEXT= 'AUTOMATIC' /* added by mysqlbinlog */ /*!*/;
`;

test('a log as mysqlbinlog prints it: transactions, changes, values', () => {
  const [transaction, ...more] = readDecodedLog(mysqlLog);
  assert.deepEqual(more, []);
  assert.equal(transaction?.gtid, '72a36dce-e57c-11f1-a2bb-02fc00000001:7');
  const [update, remove] = transaction?.changes ?? [];
  assert.equal(`${update?.kind} ${update?.schema}.${update?.table}`, 'update app.a`b');
  assert.deepEqual(
    [...(update?.before ?? [])].map(([place, value]) => [place, valueText(value)]),
    [
      [1, '18446744073709551615'],
      [2, "'it's ä \\'"],
      [3, 'NULL'],
    ],
  );
  assert.deepEqual([...(update?.after.values() ?? [])].map(valueText), ['5', "'2026:01:02'", '1.50']);
  assert.equal(remove?.kind, 'delete');
  assert.equal(remove?.after.size, 0);
});

test('a log as mariadb-binlog prints it', () => {
  const text = `#261121  7:27:00 server id 2  end_log_pos 700 CRC32 0x1 \tGTID 2-2-5 trans
/*M!100101 SET @@session.gtid_domain_id=2*//*!*/;
### INSERT INTO \`app\`.\`t\`
### SET
###   @1=2
###   @2='x'
#261121  7:27:01 server id 1  end_log_pos 900 CRC32 0x1 \tGTID 1-1-9 cid=4 trans
### DELETE FROM \`app\`.\`t\`
### WHERE
###   @1=1
`;
  const found = readDecodedLog(text);
  assert.deepEqual(
    found.map(({ gtid, changes }) => [gtid, changes.map(({ kind }) => kind)]),
    [
      ['2-2-5', ['insert']],
      ['1-1-9', ['delete']],
    ],
  );
});

test('the text of an error says which transaction and where', () => {
  const mysql =
    "Coordinator stopped because there were error(s) in the worker(s). The most recent failure being: Worker 1 failed executing transaction '72A36dce-e57c-11f1-a2bb-02fc00000001:7' at source log binlog.000002, end_log_pos 1234. See error log.";
  assert.deepEqual(readStopText(mysql), {
    gtid: '72a36dce-e57c-11f1-a2bb-02fc00000001:7',
    file: 'binlog.000002',
    endPos: 1234,
  });
  const mariadb =
    "Could not execute Write_rows_v1 event on table app.t; Duplicate entry 'x' for key 'email', Error_code: 1062; handler error HA_ERR_FOUND_DUPP_KEY; the event's master log binlog.000001, end_log_pos 2417";
  assert.deepEqual(readStopText(mariadb), { gtid: null, file: 'binlog.000001', endPos: 2417 });
  assert.ok(isAboutRows(1062) && isAboutRows(1032) && !isAboutRows(1146));
  assert.match(meaningOf(1062), /unique key/);
  assert.match(meaningOf(1), /text of the error/);
});

test('where the text does not say it, the transaction is the first that was received and not executed', () => {
  const read = (text: string) => readPosition('domains', text) ?? new Map();
  assert.equal(firstUnexecuted(read('1-1-9,2-2-7'), read('1-1-9,2-2-4')), '2-2-5');
  assert.equal(firstUnexecuted(read('1-1-9'), read('1-1-9')), null);
  const uuid = '72a36dce-e57c-11f1-a2bb-02fc00000001';
  const sets = (text: string) => readPosition('sets', text) ?? new Map();
  assert.equal(firstUnexecuted(sets(`${uuid}:1-9`), sets(`${uuid}:1-4:6`)), `${uuid}:5`);
});

test('positions of MariaDB: read, compared, and written with what is missing', () => {
  const [n1, n2] = [readPosition('domains', '1-1-14, 2-2-4'), readPosition('domains', '1-1-12,2-2-4')];
  assert.ok(n1 !== null && n2 !== null);
  const { set, transactions } = missingFrom(n1, n2);
  assert.equal(transactions, 2n);
  assert.equal(positionText('domains', set), '1-1-13…14');
  assert.equal(positionText('domains', n1), '1-1-14,2-2-4');
  assert.equal(readPosition('domains', 'nonsense'), null);
});

const digest = fc.option(fc.constantFrom('a', 'b', 'c'));
const pair = fc.record({ n1: digest, n2: digest });

test('a row is said to differ only if neither server changed it meanwhile', () => {
  fc.assert(
    fc.property(pair, pair, (first, second) => {
      const verdict = judge({ first, second });
      if (second.n1 === second.n2) assert.equal(verdict, 'equal');
      else assert.equal(verdict === 'differs', first.n1 === second.n1 && first.n2 === second.n2);
    }),
  );
});

test('rows that differ: exactly those whose digests are not the same, missing ones included', () => {
  const rows = fc.dictionary(fc.constantFrom('1', '2', '3', '4'), fc.constantFrom('a', 'b'));
  fc.assert(
    fc.property(rows, rows, (one, two) => {
      const [n1, n2] = [new Map(Object.entries(one)), new Map(Object.entries(two))];
      const found = new Set(differing(n1, n2).map(({ key }) => key));
      for (const key of ['1', '2', '3', '4']) assert.equal(found.has(key), n1.get(key) !== n2.get(key));
    }),
  );
});
