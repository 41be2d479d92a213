import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { changeStatement, delayStatement, startReceiver } from '../src/commands/channel-statements.ts';
import { dialectOf } from '../src/dialect/dialect.ts';
import { causeOf } from '../src/observe/receiver.ts';

const newMysql = new Set(['super_read_only', 'replica_net_timeout']);
const oldMysql = new Set(['super_read_only', 'slave_net_timeout']);
const mariadb = new Set(['gtid_domain_id', 'slave_net_timeout', 'rpl_semi_sync_master_enabled']);

const target = {
  leader: { host: '10.0.0.1', port: 3306 },
  user: 'us_copy',
  password: "a'b",
  tls: null,
  delayS: 0,
  isNew: true,
};

describe('dialect', () => {
  it('is chosen by what the server has', () => {
    assert.equal(dialectOf(newMysql, '9.7.4').logStatus, 'SHOW BINARY LOG STATUS');
    assert.equal(dialectOf(newMysql, '8.0.45').logStatus, 'SHOW MASTER STATUS');
    assert.equal(dialectOf(oldMysql, '8.0.20').channelStatus, 'SHOW SLAVE STATUS');
    assert.equal(dialectOf(oldMysql, '8.0.20').semiSync.sourceEnabled, 'rpl_semi_sync_master_enabled');
    const maria = dialectOf(mariadb, '11.8.6');
    assert.deepEqual([maria.gtids, maria.requiredAcksMax, maria.close.stops], ['domains', 1, 'unprivileged']);
    assert.equal(dialectOf(mariadb, '12.1.0').close.stops, 'everybody');
  });

  it('points a channel without a login in it, where the receiver is given one', () => {
    const dialect = dialectOf(newMysql, '9.7.4');
    const statement = changeStatement(dialect, target);
    assert.match(statement, /^CHANGE REPLICATION SOURCE TO SOURCE_HOST = '10\.0\.0\.1', SOURCE_PORT = 3306, /);
    assert.match(statement, /SOURCE_AUTO_POSITION = 1/);
    assert.doesNotMatch(statement, /PASSWORD|us_copy/);
    assert.doesNotMatch(changeStatement(dialect, { ...target, isNew: false }), /AUTO_POSITION|DELAY/);
    assert.match(changeStatement(dialect, { ...target, delayS: 60 }), /SOURCE_DELAY = 60/);
    assert.equal(delayStatement(dialect, 5), 'CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 5');
    assert.equal(
      startReceiver(dialect, 'us_copy', "a'b"),
      "START REPLICA IO_THREAD USER = 'us_copy' PASSWORD = 'a''b'",
    );
  });

  it('points a channel with the login in it', () => {
    const dialect = dialectOf(mariadb, '11.8.6');
    const tls = { ca: '/r/ca.pem', cert: '/r/cert.pem', key: '/r/key.pem' };
    const statement = changeStatement(dialect, { ...target, tls });
    assert.match(changeStatement(dialect, { ...target, delayS: 60, isNew: false }), /MASTER_DELAY = 60/);
    assert.match(statement, /MASTER_USER = 'us_copy', MASTER_PASSWORD = 'a''b', MASTER_USE_GTID = slave_pos$/);
    assert.match(statement, /MASTER_SSL = 1, .*MASTER_SSL_CA = '\/r\/ca\.pem'/);
    assert.equal(startReceiver(dialect, 'us_copy', "a'b"), 'START SLAVE IO_THREAD');
  });
});

describe('why a stream cannot be had', () => {
  const cases = [
    [
      1236,
      "Got fatal error 1236 from source when reading data from binary log: 'Cannot replicate because the source purged required binary logs.'",
      'wal-removed',
    ],
    [
      13114,
      "Got fatal error 1236 from source when reading data from binary log: 'Replica has more GTIDs than the source has, using the source's SERVER_UUID.'",
      'history',
    ],
    [
      1236,
      "Got fatal error 1236 from master when reading data from binary log: 'Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.'",
      'wal-removed',
    ],
    [
      1236,
      "Got fatal error 1236 from master when reading data from binary log: 'Error: connecting slave requested to start from GTID 0-1-5, which is not in the master's binlog'",
      'history',
    ],
    [3118, 'Access denied for user us_ack_b. Account is locked.', 'refused'],
    [4151, 'Access denied, this account is locked', 'refused'],
    [1045, 'Access denied for user', 'login'],
    [2003, "Can't connect to server", 'refused'],
    [1593, 'Fatal error: The replica I/O thread stops because source and replica have equal server UUIDs', 'unknown'],
  ] as const;
  for (const [number, text, cause] of cases) {
    it(`${number}: ${cause}`, () => assert.equal(causeOf({ number, text }), cause));
  }
});
