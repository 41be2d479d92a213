import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseMysqlGtids } from '../src/gtid/mysql.ts';
import { TransactionFilter } from '../src/tail/filter.ts';
import { isInSet, isOnLines } from '../src/tail/history.ts';
import { TransactionSearch } from '../src/tail/search.ts';

const uuid = '11111111-1111-4111-8111-111111111111';

const mysqlText = [
  'DELIMITER /*!*/;',
  '# at 4',
  '#261121  7:00:00 server id 1  end_log_pos 126 CRC32 0x1 \tStart: binlog v 4',
  "BINLOG 'format';",
  '# at 126',
  '#261121  7:00:00 server id 1  end_log_pos 157 CRC32 0x1 \tPrevious-GTIDs',
  `# ${uuid}:1-4`,
  '# at 157',
  '#261121  7:00:00 server id 1  end_log_pos 234 CRC32 0x1 \tGTID\tlast_committed=0',
  `SET @@SESSION.GTID_NEXT= '${uuid}:5'/*!*/;`,
  '# at 234',
  '#261121  7:00:00 server id 1  end_log_pos 300 CRC32 0x1 \tWrite_rows: table id 9',
  'first',
  '# at 300',
  '#261121  7:00:01 server id 1  end_log_pos 400 CRC32 0x1 \tGTID\tlast_committed=1',
  '/*!80014 SET @@session.original_server_version=90704*//*!*/;',
  `SET @@SESSION.GTID_NEXT= '${uuid}:6'/*!*/;`,
  '# at 400',
  '#261121  7:00:01 server id 1  end_log_pos 500 CRC32 0x1 \tWrite_rows: table id 9',
  'second',
  '# at 500',
  '#261121  7:00:02 server id 1  end_log_pos 600 CRC32 0x1 \tRotate to binlog.000002',
];

function run(filter: TransactionFilter, text: readonly string[]): readonly string[] {
  return [...text.flatMap((line) => filter.push(line)), ...filter.end()];
}

describe('the end of a history that nobody else has', () => {
  it('is taken out of a decoded log, with what is needed to read it', () => {
    const isHeld = isInSet(parseMysqlGtids(`${uuid}:1-5`) ?? new Map());
    const filter = new TransactionFilter((gtid) => !isHeld(gtid));
    assert.deepEqual(run(filter, mysqlText), [...mysqlText.slice(0, 7), ...mysqlText.slice(13)]);
    assert.deepEqual([filter.kept, filter.seen], [[`${uuid}:6`], 2]);
    assert.deepEqual(run(new TransactionFilter(() => true), mysqlText), mysqlText);
    assert.deepEqual(run(new TransactionFilter(() => false), mysqlText), mysqlText.slice(0, 7));
  });

  it('is found by the words of MariaDB too', () => {
    const text = ['# at 9', '#261121  7:00:00 server id 2  end_log_pos 4 CRC32 0x1 \tGTID 0-2-7 trans', 'row'];
    const filter = new TransactionFilter((gtid) => gtid === '0-2-7');
    assert.deepEqual(run(filter, text), text);
    assert.deepEqual(filter.kept, ['0-2-7']);
  });

  it('is found without reading all of it line by line, however the text is cut in pieces', () => {
    const mariadbText = [
      '# at 9',
      '#261121  7:00:00 server id 2  end_log_pos 4 CRC32 0x1 \tGTID 0-2-77 trans',
      '/*!*/;',
      '',
    ];
    const cases = [
      [mysqlText, `${uuid}:6`, 300, 2],
      [mysqlText, `${uuid}:5`, 157, 2],
      [mysqlText, `${uuid}:7`, null, 2],
      [mariadbText, '0-2-77', 9, 1],
      [mariadbText, '0-2-7', null, 1],
    ] as const;
    for (const [lines, wanted, firstAt, seen] of cases) {
      const text = lines.join('\n');
      for (let size = 1; size <= text.length; size += 1) {
        const search = new TransactionSearch((gtid) => gtid === wanted);
        for (let at = 0; at < text.length; at += size) search.push(text.slice(at, at + size));
        assert.deepEqual([search.firstAt, search.seen], [firstAt, seen], `${wanted} in pieces of ${size}`);
      }
    }
  });

  it('is, on MariaDB, what lies beyond the lines of the other one, and what was written here on its own line', () => {
    const line = (timeline: bigint, place: bigint) => (timeline << 44n) + place - 1n;
    const set = new Map([
      ['2', [{ first: 1n, last: 4n }]],
      ['3', [{ first: 1n, last: 9n }]],
    ]);
    const isHeld = isOnLines(set, 3, [7]);
    assert.equal(isHeld(`0-1-${line(2n, 4n)}`), true);
    assert.equal(isHeld(`0-1-${line(2n, 5n)}`), false);
    assert.equal(isHeld(`0-1-${line(3n, 9n)}`), true);
    assert.equal(isHeld(`0-7-${line(3n, 9n)}`), false);
    assert.equal(isHeld(`0-7-${line(2n, 2n)}`), true);
  });
});
