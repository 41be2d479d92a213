import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { changeStatement, delayStatement, startReceiver } from '../src/commands/channel-statements.ts';
import { settingsProfiles } from '../src/config/settings.ts';
import { dialectOf, isOpen } from '../src/dialect/dialect.ts';
import { channelOf } from '../src/observe/channel.ts';
import { causeOf } from '../src/observe/receiver.ts';

const newMysql = new Set(['super_read_only', 'replica_net_timeout']);
const oldMysql = new Set(['super_read_only', 'slave_net_timeout']);
const mariadb = new Set(['gtid_domain_id', 'slave_net_timeout', 'rpl_semi_sync_master_enabled']);

const target = {
  leader: { host: '10.0.0.1', port: 3306 },
  user: 'us_copy',
  password: "a'b",
  tls: null,
  security: 'key',
  delayS: 0,
  isNew: true,
} as const;

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
    const statement = changeStatement(dialect, { ...target, tls, security: 'full' });
    assert.match(changeStatement(dialect, { ...target, delayS: 60, isNew: false }), /MASTER_DELAY = 60/);
    assert.match(statement, /MASTER_USER = 'us_copy', MASTER_PASSWORD = 'a''b', MASTER_USE_GTID = slave_pos$/);
    assert.match(statement, /MASTER_SSL = 1, MASTER_SSL_VERIFY_SERVER_CERT = 1, .*MASTER_SSL_CA = '\/r\/ca\.pem'/);
    assert.equal(startReceiver(dialect, 'us_copy', "a'b"), 'START SLAVE IO_THREAD');
  });
});

describe('other versions, by their manuals', () => {
  /** Of the manual of MySQL 8.0 and 8.4, `SHOW REPLICA STATUS`. */
  const replicaStatus = {
    Replica_IO_State: 'Waiting for source to send event',
    Source_Host: '127.0.0.1',
    Source_User: 'repl',
    Source_Port: '13000',
    Read_Source_Log_Pos: '927',
    Relay_Log_File: 'replica-relay-bin.000002',
    Relay_Log_Pos: '1145',
    Replica_IO_Running: 'Yes',
    Replica_SQL_Running: 'Yes',
    Replicate_Do_DB: '',
    Last_Errno: '0',
    Source_SSL_Allowed: 'No',
    Source_SSL_Verify_Server_Cert: 'No',
    Get_Source_public_key: '1',
    Last_IO_Errno: '0',
    Last_SQL_Errno: '0',
    Source_UUID: '73F86016-978B-11EE-ADE5-8D2A2A562FEB',
    SQL_Delay: '0',
    Replica_SQL_Running_State: 'Replica has read all relay log; waiting for more updates',
    Retrieved_Gtid_Set: '73f86016-978b-11ee-ade5-8d2a2a562feb:1-3',
    Auto_Position: '1',
  };

  it('8.0 and 8.4 describe a channel as 9.x does', () => {
    for (const version of ['8.0.45', '8.4.7', '9.7.4']) {
      const channel = channelOf(replicaStatus, dialectOf(newMysql, version).columns);
      assert.deepEqual(
        [
          channel.host,
          channel.port,
          channel.user,
          channel.receiver,
          channel.applier,
          channel.usesGtids,
          channel.security,
        ],
        ['127.0.0.1', 13000, 'repl', 'running', 'running', 'yes', 'key'],
      );
      assert.equal(channel.sourceUuid, '73f86016-978b-11ee-ade5-8d2a2a562feb');
      assert.equal(channel.received, '73f86016-978b-11ee-ade5-8d2a2a562feb:1-3');
      assert.deepEqual(channel.relay, { file: 'replica-relay-bin.000002', pos: '1145' });
    }
  });

  it('an old one has the words of old for everything', () => {
    const renamed = Object.entries(replicaStatus).map(([name, value]) => [
      name.replace('Source_', 'Master_').replace('Replica_', 'Slave_'),
      value,
    ]);
    const { columns } = dialectOf(oldMysql, '8.0.20');
    const channel = channelOf(
      { ...Object.fromEntries(renamed), Slave_IO_Running: 'Connecting', Last_IO_Errno: '2003' },
      columns,
    );
    assert.deepEqual(
      [channel.host, channel.receiver, channel.receiverError?.number],
      ['127.0.0.1', 'connecting', 2003],
    );
    assert.equal(channel.sourceUuid, '73f86016-978b-11ee-ade5-8d2a2a562feb');
  });

  it('MariaDB keeps those words, and its own place for GTIDs', () => {
    const row = {
      Master_Host: '10.0.0.1',
      Master_Port: '3306',
      Master_User: 'us_copy',
      Slave_IO_Running: 'Preparing',
      Slave_SQL_Running: 'No',
      Last_SQL_Errno: '1062',
      Last_SQL_Error: 'Duplicate entry',
      Using_Gtid: 'Slave_Pos',
      Gtid_IO_Pos: '0-1-100',
      SQL_Delay: '60',
    };
    const channel = channelOf(row, dialectOf(mariadb, '10.11.18').columns);
    assert.deepEqual([channel.receiver, channel.applier, channel.usesGtids], ['connecting', 'stopped', 'yes']);
    assert.deepEqual([channel.received, channel.delayS, channel.sourceUuid], ['0-1-100', 60, '']);
    assert.deepEqual(channel.applierError, { number: 1062, text: 'Duplicate entry' });
  });

  it('of MySQL that are supported are given only names that all of them know', () => {
    // 8.0.26 renamed them, 8.4 took the old ones away; nothing that only 9.x has.
    const names = [...settingsProfiles.mysql.fixed, ...settingsProfiles.mysql.defaults].map(([name]) => name);
    assert.deepEqual(
      names.filter((name) => /slave|master/.test(name)),
      [],
    );
    const { semiSync, workers } = dialectOf(newMysql, '8.0.45');
    assert.deepEqual([semiSync, workers], [dialectOf(newMysql, '9.7.4').semiSync, 'replica_parallel_workers']);
    for (const name of [semiSync.sourceEnabled, semiSync.waitPoint, semiSync.replicaEnabled])
      assert.ok(names.includes(name));
    const plugins = settingsProfiles.mysql.fixed
      .filter(([name]) => name === 'plugin_load_add')
      .map(([, value]) => value);
    assert.deepEqual(plugins, ['semisync_source.so', 'semisync_replica.so', 'mysql_clone.so']);
  });

  it('of MariaDB from 12.0.1 on have more degrees of read-only: all but off are fenced', () => {
    for (const value of ['0', 'OFF', 'off']) assert.equal(isOpen(value), true, value);
    for (const value of ['1', 'ON', 'NO_LOCK', 'NO_LOCK_NO_ADMIN', '']) assert.equal(isOpen(value), false, value);
    assert.equal(dialectOf(mariadb, '12.0.1').close.statement, "SET GLOBAL read_only = 'NO_LOCK_NO_ADMIN'");
    assert.equal(dialectOf(mariadb, '11.8.6').close.statement, 'SET GLOBAL read_only = ON');
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
