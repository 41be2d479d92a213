import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { monotonicMs } from '@understudy/base';
import { ackRule, DEFAULT_TAGS, lsn, type MemberId, memberId } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import fc from 'fast-check';
import { checkParameters, parseCatalog } from '../src/config/catalog.ts';
import { passwordFileContent } from '../src/config/conninfo.ts';
import { dryStart, removeDryStarts } from '../src/config/dry-start.ts';
import { renderHba } from '../src/config/hba.ts';
import { secureLink } from '../src/config/secure-link.ts';
import { mergeParameters, renderInclude, stateOfInclude } from '../src/config/settings.ts';
import {
  blockingStandbyNames,
  formatStandbyNames,
  memberOfStandby,
  memberRole,
  quoteSetting,
  slotName,
  standbyName,
} from '../src/names.ts';
import { causeInLog } from '../src/observe/receiver-log.ts';
import { isForeignAcker, memberOfStream } from '../src/observe/senders.ts';

import { refusalOf, StreamAttempt } from '../src/observe/stream-attempt.ts';
import { parseOptions } from '../src/options.ts';
import { throughAnyDoor } from '../src/sql/doors.ts';
import { matchesVerifier, scramVerifier } from '../src/sql/scram.ts';

const anyMember = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/).map(memberId);

describe('names', () => {
  it('give every member a standby name that no other has, also where case does not count', () => {
    fc.assert(
      fc.property(anyMember, anyMember, (a, b) => {
        const name = standbyName('c', a);
        assert(Buffer.byteLength(name) < 64, 'PostgreSQL cuts off what is longer');
        assert.equal(memberOfStandby('c', name), a);
        assert.equal(memberOfStandby('another', name), null);
        if (a !== b) assert.notEqual(standbyName('c', b).toLowerCase(), name.toLowerCase());
      }),
      { examples: [[memberId('db1'), memberId('DB1')]] },
    );
    assert.match(
      formatStandbyNames('c', ackRule(['n2', 'n3'].map(memberId), 1)),
      /^ANY 1 \("n2\.\w{16}","n3\.\w{16}"\)$/,
    );
    assert.equal(formatStandbyNames('c', ackRule([], 0)), '');
    assert.equal(memberOfStandby('c', 'n2'), null);
    assert(!blockingStandbyNames.includes('.'), 'nobody can have that name');
  });

  it('tell the stream of a member from one that only looks like it', () => {
    const c = { cluster: 'c', identity: 'authority', sharing: 'unknown' } as const;
    const name = standbyName('c', memberId('n2'));
    const listed = formatStandbyNames('c', ackRule([memberId('n2')], 1));
    const own = {
      pid: '7',
      usename: 'understudy_replication',
      application_name: name,
      slot_name: slotName(memberId('n2')),
      sync_priority: '1',
      flush_lsn: '0/1',
      replay_lsn: '0/1',
    };
    assert.equal(memberOfStream(c, own), 'n2');
    assert(!isForeignAcker(c, own, listed));
    assert(
      !isForeignAcker(c, { ...own, sync_priority: '0', flush_lsn: null, replay_lsn: null }, listed),
      'has just begun',
    );
    const strangers = [
      { ...own, slot_name: null },
      { ...own, slot_name: slotName(memberId('n3')) },
      { ...own, usename: 'app' },
      { ...own, application_name: name.toUpperCase(), sync_priority: '0' },
      { ...own, application_name: 'whoever', sync_priority: '1' },
      { ...own, replay_lsn: null },
    ];
    for (const row of strangers) assert(isForeignAcker(c, row, listed), JSON.stringify(row));
    assert(!isForeignAcker(c, { ...own, application_name: 'n2', sync_priority: '0', slot_name: null }, listed));
  });

  it('and, where certificates have the names of members, from another member that took its name', () => {
    const named = { cluster: 'c', identity: 'name', sharing: 'unknown' } as const;
    const member = memberId('n2');
    const listed = formatStandbyNames('c', ackRule([member], 1));
    const stream = {
      pid: '7',
      usename: 'understudy_replication',
      application_name: standbyName('c', member),
      slot_name: slotName(member),
      sync_priority: '1',
      flush_lsn: '0/1',
      replay_lsn: '0/1',
    };
    assert.equal(memberOfStream(named, { ...stream, client_dn: '/CN=n2' }), 'n2');
    for (const client_dn of ['/CN=n3', '/CN=N2', '/O=n2/CN=n2', '', null]) {
      assert.equal(memberOfStream(named, { ...stream, client_dn }), null, String(client_dn));
      assert(isForeignAcker(named, { ...stream, client_dn }, listed));
    }
  });

  it('and from one that logged in with another member’s role, or with the one that all shared', () => {
    const member = memberId('n2');
    const listed = formatStandbyNames('c', ackRule([member], 1));
    const stream = {
      pid: '7',
      application_name: standbyName('c', member),
      slot_name: slotName(member),
      sync_priority: '1',
      flush_lsn: '0/1',
      replay_lsn: '0/1',
    };
    const left = { cluster: 'c', identity: 'authority', sharing: new Set<MemberId>() } as const;
    for (const usename of [memberRole(member, 'a'), memberRole(member, 'b')]) {
      assert.equal(memberOfStream(left, { ...stream, usename }), 'n2');
      assert(!isForeignAcker(left, { ...stream, usename }, listed));
    }
    for (const usename of [memberRole(memberId('n3'), 'a'), 'understudy_replication', 'understudy_repl_N2_a', 'app']) {
      assert.equal(memberOfStream(left, { ...stream, usename }), null, usename);
      assert(isForeignAcker(left, { ...stream, usename }, listed), usename);
    }
    const upgraded = { ...left, sharing: new Set([member]) };
    assert.equal(memberOfStream(upgraded, { ...stream, usename: 'understudy_replication' }), 'n2');
  });

  it('give every member a slot of its own that PostgreSQL takes', () => {
    fc.assert(
      fc.property(anyMember, anyMember, (a, b) => {
        assert.match(slotName(a), /^[a-z0-9_]{1,63}$/);
        if (a !== b) assert.notEqual(slotName(a), slotName(b));
      }),
      {
        examples: [
          [memberId('a-b'), memberId('a_b')],
          [memberId('N1'), memberId('n1')],
        ],
      },
    );
  });
});

describe('parameters', () => {
  const catalog = parseCatalog(
    [
      ['work_mem', 'user', 'Resource Usage', 'INTEGER', '4096'],
      ['enable_seqscan', 'user', 'Query Tuning', 'BOOLEAN', 'TRUE'],
      ['seq_page_cost', 'user', 'Query Tuning', 'REAL', '1'],
      ['wal_level', 'postmaster', 'Write-Ahead Log', 'ENUM', 'replica'],
      ['log_line_prefix', 'sighup', 'Reporting', 'STRING', ''],
    ]
      .map((columns) => columns.join('\t'))
      .join('\n'),
  );

  it('that void the promise are refused by name, at any value but the safe one', () => {
    const switches = ['fsync', 'full_page_writes', 'zero_damaged_pages', 'ignore_checksum_failure', 'data_sync_retry'];
    const known = parseCatalog(switches.map((name) => [name, 'sighup', 'x', 'BOOLEAN', 'TRUE'].join('\t')).join('\n'));
    const unsafe = {
      fsync: 'off',
      FULL_PAGE_WRITES: 'no',
      zero_damaged_pages: 'on',
      ignore_checksum_failure: '1',
      data_sync_retry: 'true',
    };
    const { good, problems } = checkParameters(unsafe, 'the cluster', known);
    assert.deepEqual(good, {});
    assert.equal(problems.length, 5);
    assert.match(problems[0] ?? '', /fsync of the cluster must not be off: .*loses power/);
    assert.deepEqual(checkParameters({ fsync: 'on', zero_damaged_pages: 'off' }, 'n', known).problems, []);
  });

  it('pass when the server would take them', () => {
    const given = {
      Work_Mem: '64MB',
      enable_seqscan: 'off',
      seq_page_cost: '1.5',
      wal_level: 'logical',
      'auto_explain.log': 'x',
    };
    const { good, problems } = checkParameters(given, 'the cluster', catalog);
    assert.deepEqual(problems, []);
    assert.deepEqual(Object.keys(good).sort(), [
      'auto_explain.log',
      'enable_seqscan',
      'seq_page_cost',
      'wal_level',
      'work_mem',
    ]);
  });

  it('are named, with the reason, when it would not, or when Understudy sets them', () => {
    const problemOf = (name: string, value: string): string =>
      checkParameters({ [name]: value }, 'the cluster', catalog).problems[0] ?? '';
    assert.match(problemOf('wrok_mem', '1MB'), /wrok_mem of the cluster is not known/);
    assert.match(problemOf('work_mem', 'much'), /"much", which is no integer/);
    assert.match(problemOf('enable_seqscan', 'perhaps'), /no boolean/);
    assert.match(problemOf('wal_level', 'minimal'), /allows no replicas/);
    assert.match(problemOf('primary_conninfo', 'x'), /set by Understudy/);
    assert.match(problemOf('log_line_prefix', 'a\nb'), /more than one line/);
    assert.match(problemOf("x' y", '1'), /not a name/);
  });

  it('are merged in order, and raised to what the history demands', () => {
    const limits = {
      max_connections: 200,
      max_worker_processes: 8,
      max_wal_senders: 40,
      max_prepared_transactions: 0,
      max_locks_per_transaction: 64,
    };
    const merged = mergeParameters({
      node: { work_mem: '1MB', max_connections: '50' },
      cluster: { work_mem: '2MB' },
      limits,
    });
    assert.equal(merged.work_mem, '2MB');
    assert.equal(merged.max_connections, '200', 'a standby may not have less than its primary had');
    assert.equal(merged.max_wal_senders, '40');
    assert.equal(merged.max_worker_processes, undefined, 'the default is enough');
  });

  it('survive quoting, and the include tells a later agent its state', () => {
    assert.equal(quoteSetting("it's \\ here"), "'it''s \\\\ here'");
    const replication = { upstream: { member: 'n1', conninfo: "host='a'", slot: 's' }, standbyNames: '' };
    const more = { synchronousCommit: 'on', delayMs: 0, tls: {}, generation: '1' };
    const text = renderInclude(replication, { work_mem: '1MB' }, more);
    assert.doesNotMatch(text, /recovery_min_apply_delay/);
    assert.match(renderInclude(replication, {}, { ...more, delayMs: 5000 }), /^recovery_min_apply_delay = '5000ms'$/m);
    assert.match(text, /^work_mem = '1MB'$/m);
    assert.match(text, /^primary_conninfo = 'host=''a'''$/m);
    assert.deepEqual(JSON.parse(stateOfInclude(text) ?? ''), replication);
  });
});

describe('access', () => {
  it('trusts nobody over the network', () => {
    const text = renderHba(['all'], 'tls', '# mine\nhost all app 10.0.0.0/8 md5\n');
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    for (const line of lines.filter((each) => each.startsWith('host'))) assert.doesNotMatch(line, /trust$/);
    assert(lines.includes('hostssl replication understudy_replication all scram-sha-256 clientcert=verify-ca'));
    const at = (line: string): number => lines.indexOf(line);
    assert(at('host all understudy_replication all reject') < at('host all app 10.0.0.0/8 md5'));
    assert(at('host all understudy_agent all reject') < at('host all app 10.0.0.0/8 md5'));
  });

  it('demands of the other end of a link what libpq of that version can', () => {
    const tls = { ca: '/ca', cert: '/cert', key: '/key', verify: 'full' } as const;
    const full = { channel_binding: 'require', sslmode: 'verify-full', sslrootcert: '/ca' };
    for (const [name, value] of Object.entries(full)) assert.equal(secureLink(tls, 15)[name], value);
    assert.equal(secureLink(tls, 15).require_auth, undefined, 'an unknown option would keep it from connecting');
    assert.equal(secureLink(tls, 16).require_auth, 'scram-sha-256');
    assert.deepEqual(secureLink(null, 17), {
      require_auth: 'scram-sha-256',
      sslmode: 'disable',
      gssencmode: 'disable',
    });
    assert.equal(secureLink({ ...tls, verify: 'ca' }, 17).sslmode, 'verify-ca');
  });

  it('lets lines of the user decide who else may copy and stream, and nobody without one', () => {
    const text = renderHba(['all'], 'plain', 'host replication barman 10.0.0.0/8 scram-sha-256\n');
    const lines = text.split('\n');
    const own = lines.indexOf('host replication barman 10.0.0.0/8 scram-sha-256');
    assert(own > lines.indexOf('host replication understudy_replication all scram-sha-256'));
    assert(own < lines.indexOf('host replication all all reject'));
  });

  it('lets replicas read the list of slots where they copy them, and nowhere else', () => {
    const lines = (copies: 'yes' | 'no') => renderHba(['all'], 'plain', '', copies).split('\n');
    const more = lines('yes').filter((each) => !lines('no').includes(each));
    const who = ['understudy_replication', '+understudy_members'];
    assert.deepEqual(
      more,
      who.map((name) => `host postgres ${name} all scram-sha-256`),
    );
    assert.equal(lines('yes').length, lines('no').length + 2);
    for (const name of who) {
      const line = `host postgres ${name} all scram-sha-256`;
      assert(lines('yes').indexOf(line) < lines('yes').indexOf(`host all ${name} all reject`));
    }
  });

  it('keeps a password for libpq only while there is somebody to follow', () => {
    assert.equal(
      passwordFileContent([{ user: 'understudy_replication', password: 'a:b\\c' }]),
      '*:*:*:understudy_replication:a\\:b\\\\c\n',
    );
    assert.doesNotMatch(passwordFileContent(null), /^\*/m);
  });

  it('stores passwords as PostgreSQL does', async () => {
    const stored = await scramVerifier('secret words');
    assert.match(stored, /^SCRAM-SHA-256\$4096:/);
    assert.equal(await matchesVerifier('secret words', stored), true);
    assert.equal(await matchesVerifier('other words', stored), false);
    assert.equal(await matchesVerifier('secret words', 'md5abc'), false);
  });
});

describe('why there is no stream', () => {
  it('is what the upstream answers to the agent, by its code when its language is another one', () => {
    const answer = (code: string, message: string) =>
      refusalOf(
        new EngineError('ENGINE_INTERNAL', message, {
          retry: 'unknown',
          cause: Object.assign(new Error(message), { code }),
        }),
      );
    assert.equal(answer('58P01', 'das angeforderte WAL-Segment wurde schon entfernt')?.cause, 'wal-removed');
    assert.equal(answer('28000', 'Rolle darf nicht anmelden')?.cause, 'login');
    assert.equal(
      answer('XX000', "requested starting point 0/1 on timeline 1 is not in this server's history")?.cause,
      'history',
    );
    assert.deepEqual(answer('53300', 'no senders'), { cause: 'refused', detail: 'no senders' });
    assert.equal(refusalOf(new EngineError('ENGINE_TIMEOUT', 'no refusal within 1000 ms')), null);
  });

  it('is not forgotten when a stream shows for the moment in which it is refused', async () => {
    let nowMs = 0;
    const attempt = new StreamAttempt(
      () => Promise.resolve({ cause: 'wal-removed' }),
      () => nowMs,
    );
    const upstream = { id: memberId('n1'), host: 'h', port: 1, apiUrl: '', tags: DEFAULT_TAGS };
    attempt.learn(new Map([[upstream.id, upstream]]));
    const at = { kind: 'wal', timeline: 1, lsn: lsn(0n), history: [] } as const;
    const look = async (afterMs: number) => {
      nowMs += afterMs;
      attempt.look(upstream.id, at);
      await new Promise(setImmediate);
      return attempt.look(upstream.id, at)?.cause;
    };
    assert.equal(await look(0), undefined);
    assert.equal(await look(2000), undefined, 'what costs a copy must have been said twice');
    assert.equal(await look(3000), 'wal-removed');
    for (let flash = 0; flash < 5; flash++) {
      nowMs += 1500;
      attempt.sawStream();
      assert.equal(await look(10), 'wal-removed');
    }
    attempt.sawStream();
    nowMs += 2000;
    attempt.sawStream();
    assert.equal(await look(10), undefined, 'a stream that lasted');
  });

  it('is read from the newest telling line', () => {
    const removed =
      'FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment 00000002 has already been removed';
    const login =
      'FATAL:  could not connect to the primary server: FATAL:  password authentication failed for user "x"';
    assert.equal(causeInLog(`${login}\n${removed}\nLOG:  something else\n`), 'wal-removed');
    assert.equal(causeInLog(`${removed}\n${login}\n`), 'login');
    assert.equal(causeInLog('LOG:  new timeline 5 is not a child of database system timeline 3\n'), 'unknown');
    assert.equal(
      causeInLog('FATAL:  could not start WAL streaming: ERROR:  replication slot "s" does not exist'),
      'slot',
    );
  });
});

describe('options', () => {
  it('name every mistake at once', () => {
    const wrong = {
      cluster: 'c',
      member: 'a b',
      dataDir: 'relative',
      runDir: `/${'x'.repeat(100)}`,
      listen: { port: 0 },
    };
    assert.throws(
      // What a program without types may pass.
      () => parseOptions(JSON.parse(JSON.stringify(wrong))),
      (error: unknown) =>
        error instanceof EngineError &&
        /member:/.test(error.message) &&
        /dataDir: must be an absolute path/.test(error.message) &&
        /runDir: must be at most 88 bytes/.test(error.message) &&
        /listen.port/.test(error.message),
    );
  });
});

describe('a dry start', () => {
  it('ends with the question that it belongs to, and what a killed agent left of one is removed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'us-dry-'));
    try {
      const [runDir, dataDir, binDir] = [join(folder, 'run'), join(folder, 'data'), join(folder, 'bin')];
      for (const path of [runDir, join(dataDir, 'global'), binDir]) await mkdir(path, { recursive: true });
      for (const name of ['PG_VERSION', 'global/pg_control']) await writeFile(join(dataDir, name), '17\n');
      await writeFile(join(binDir, 'postgres'), '#!/bin/sh\nexec sleep 600\n', { mode: 0o700 });
      const binaries = { binDir };
      const wanted = { parameters: {}, fixed: [], alterSystem: 'without', endMs: monotonicMs() } as const;
      await assert.rejects(dryStart({ runDir, dataDir, binaries }, null, wanted), { code: 'ENGINE_TIMEOUT' });
      assert.deepEqual(await readdir(runDir), [], 'it leaves nothing itself');
      await mkdir(join(runDir, 'dry-0123456789ab', 'global'), { recursive: true });
      for (const name of ['dry-run.txt', 'postgres.log']) await writeFile(join(runDir, name), '');
      await removeDryStarts(runDir);
      assert.deepEqual((await readdir(runDir)).sort(), ['dry-run.txt', 'postgres.log']);
      await removeDryStarts(join(folder, 'none'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('the ways into a server', () => {
  const ways = { users: ['postgres', 'agent'], databases: ['postgres', 'template1'], replication: ['none'] } as const;
  const refusal = (code: string) => Object.assign(new Error(code), { code });

  it('are left by the user who is no superuser any more, not by the database', async () => {
    const tried: string[] = [];
    const { door } = await throughAnyDoor(ways, null, async ({ user, database }) => {
      tried.push(`${user} in ${database}`);
      if (user === 'postgres') throw refusal('42501');
    });
    assert.equal(door.user, 'agent');
    assert.deepEqual(tried, ['postgres in postgres', 'agent in postgres']);
  });

  it('are not gone on with when the server itself starts or stops', async () => {
    const open = async () => Promise.reject(refusal('57P03'));
    await assert.rejects(throughAnyDoor(ways, null, open), { code: '57P03' });
  });
});
