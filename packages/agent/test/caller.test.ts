/** Who may do what, and which requests are refused whoever sent them. */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { DEFAULT_TAGS, type Member, memberId } from '@understudy/core';
import { bodyText } from '../src/access/audit.ts';
import {
  allows,
  type Certificate,
  callerOf,
  holderOf,
  type Need,
  type Policy,
  type Shown,
} from '../src/access/caller.ts';
import { objectionTo, type RequestHead } from '../src/access/request.ts';
import {
  afterStep,
  formatTokens,
  parseTokens,
  strongestToken,
  type Token,
  type TokenStep,
} from '../src/access/tokens.ts';
import { effectiveNeed } from '../src/api/auth.ts';
import { isLoopback } from '../src/config/address.ts';
import { parseNodeConfig } from '../src/config/node-file.ts';
import { introduction, memberSecretOf, provenMember } from '../src/peers/introduction.ts';
import { UnprovenMembers } from '../src/peers/unproven.ts';

const [n1, n2, n3] = [memberId('n1'), memberId('n2'), memberId('n3')];
const at = (id: typeof n1, host: string): [typeof n1, Member] => [
  id,
  { id, apiUrl: `https://${host}:8008`, host, port: 5432, tags: DEFAULT_TAGS },
];
const TOKENS = parseTokens(
  ['# who', 'admin ops 0000000000000000', 'operate deploy 1111111111111111', 'view grafana 2222222222222222'].join(
    '\n',
  ),
  'tokens',
);
const POLICY: Policy = {
  tokens: TOKENS,
  certificates: [
    { name: 'alice', role: 'admin' },
    { name: 'ci.example', role: 'operate' },
    { name: 'spare', role: 'member' },
  ],
  members: new Map([at(n1, '10.0.0.1'), at(n2, 'db2.example'), at(n3, '127.0.0.1')]),
  loopback: 'token',
};
const NOTHING: Shown = {
  address: '10.9.9.9',
  bearer: null,
  proven: null,
  certificate: null,
  isFromBrowser: false,
};
const named = (commonName: string | null, ...covered: string[]): Certificate => ({
  commonName,
  covers: (name) => covered.includes(name),
});
const NEEDS: readonly Need[] = ['open', 'view', 'watch', 'operate', 'admin', 'member'];
const may = (shown: Partial<Shown>, policy: Partial<Policy> = {}): string => {
  const caller = callerOf({ ...NOTHING, ...shown }, { ...POLICY, ...policy });
  return NEEDS.filter((need) => allows(caller, need)).join(' ');
};

describe('callers', () => {
  const looks = 'open view watch';
  const operates = `${looks} operate`;
  const administers = `${operates} admin`;
  const isMember = `${looks} member`;
  const cases: readonly (readonly [string, Partial<Shown>, string])[] = [
    ['nobody', {}, 'open'],
    ['a wrong token', { bearer: '9999999999999999' }, 'open'],
    ['a token for looking', { bearer: '2222222222222222' }, looks],
    ['a token for operating', { bearer: '1111111111111111' }, operates],
    ['a token for everything, which makes no member', { bearer: '0000000000000000' }, administers],
    ['a member by its secret, which changes nothing', { proven: n2 }, isMember],
    ['a certificate that nobody named', { certificate: named('etcd') }, looks],
    ['a certificate without a name', { certificate: named(null) }, looks],
    ['a certificate of an administrator', { certificate: named('alice') }, administers],
    ['a certificate of an operator, by its DNS name', { certificate: named('x', 'ci.example') }, operates],
    ['a certificate with the name of a member', { certificate: named('n1') }, isMember],
    [
      'a certificate for the address of a member, as a program beside it has',
      { certificate: named('x', '10.0.0.1') },
      looks,
    ],
    ['a certificate for this machine, where every member may be', { certificate: named('x', '127.0.0.1') }, looks],
    ['a certificate that is named as that of a member', { certificate: named('spare') }, isMember],
    ['a member that also has a token', { proven: n2, bearer: '1111111111111111' }, `${operates} member`],
    ['this machine, without a word that it is trusted', { address: '127.0.0.1' }, 'open'],
  ];
  for (const [who, shown, allowed] of cases) {
    it(`${who}: ${allowed}`, () => assert.equal(may(shown), allowed));
  }

  it('on this machine are trusted only where that is said, never with a web page, and never with a copy', () => {
    const trusted = { loopback: 'trusted' } as const;
    assert.equal(may({ address: '127.0.0.1' }, trusted), administers);
    assert.equal(may({ address: '::ffff:127.0.0.1' }, trusted), administers);
    assert.equal(may({ address: '127.0.0.1', isFromBrowser: true }, trusted), 'open');
    assert.equal(may({ address: '10.9.9.9' }, trusted), 'open');
  });

  it('are told apart also when the address of a member in the store is none', () => {
    const [id, member] = at(n1, '10.0.0.1');
    const members = new Map([[id, { ...member, apiUrl: 'nowhere' }]]);
    assert.equal(may({ certificate: named('alice', 'nowhere', '') }, { members }), administers);
  });

  it('with the certificate of one member are not another one, whatever they know', () => {
    const caller = callerOf({ ...NOTHING, certificate: named('n1'), proven: n3 }, POLICY);
    assert.equal(caller.member, n1);
  });

  it('have room of their own only by what they showed', () => {
    const holder = (shown: Partial<Shown>) =>
      holderOf(callerOf({ ...NOTHING, ...shown }, { ...POLICY, loopback: 'trusted' }));
    assert.equal(holder({ address: '127.0.0.1' }), null);
    assert.equal(holder({ address: '127.0.0.1', proven: n2 }), 'member n2');
    assert.equal(holder({ bearer: '2222222222222222' }), 'token grafana');
    assert.equal(holder({ certificate: named('alice') }), 'certificate alice');
  });

  it('may look where the API is on the loopback address, and need a word elsewhere', () => {
    const need = (host: string, wanted: Need) => effectiveNeed(wanted, { listen: { host, port: 1 } });
    assert.deepEqual([need('127.0.0.1', 'view'), need('127.0.0.1', 'operate')], ['open', 'operate']);
    assert.deepEqual([need('0.0.0.0', 'view'), need('10.0.0.1', 'watch')], ['view', 'watch']);
  });
});

describe('what shows membership', () => {
  const secrets = { superuser: 'password', replication: 'p', rewind: 'p', monitor: 'p' };
  const secret = memberSecretOf('shop', secrets, () => []);
  const headerOf = (each = secret, purpose: 'stream' | 'copy' = 'stream', of = n1) =>
    introduction(each, purpose, n2, of)['x-understudy-member'];

  it('is good for one purpose at one member of one cluster', () => {
    assert.equal(provenMember(headerOf(), 'stream', secret, n1), n2);
    assert.equal(provenMember(headerOf(), 'copy', secret, n1), null);
    assert.equal(provenMember(headerOf(), 'stream', secret, n3), null);
    assert.equal(provenMember(headerOf(memberSecretOf('other', secrets, () => [])), 'stream', secret, n1), null);
    assert.equal(provenMember(headerOf()?.replace('n2', 'n3'), 'stream', secret, n1), null);
  });

  it('is another thing than the token, and can be set', () => {
    const own = memberSecretOf('shop', { ...secrets, member: 'sixteen-characters' }, () => []);
    assert.notEqual(headerOf(own), headerOf());
    assert.equal(provenMember(headerOf(own), 'stream', own, n1), n2);
    assert.doesNotMatch(String(headerOf(own)), /sixteen|password/);
  });
});

describe('members that do not show that they are', () => {
  it('are named, with what to do, as long as they ask', () => {
    const unproven = new UnprovenMembers();
    unproven.refused('10.9.9.9', POLICY.members, 0);
    assert.deepEqual(unproven.warnings(n2, 0), [], 'strangers are nobody');
    unproven.refused('::ffff:10.0.0.1', POLICY.members, 1_000);
    const [text = '', ...others] = unproven.warnings(n2, 2_000);
    assert.match(text, /agent of n1 asks .* is told nothing: its version is from before 2026-12, or its secrets file/);
    assert.deepEqual(others, []);
    assert.deepEqual(unproven.warnings(n1, 2_000), [], 'not of oneself');
    assert.deepEqual(unproven.warnings(n2, 20_000), []);
  });
});

describe('a token that agents of an earlier version show membership with', () => {
  it('shows it only as long as it is accepted', () => {
    const secrets = { superuser: 'password', replication: 'p', rewind: 'p', monitor: 'p' };
    let tokens: readonly string[] = ['token-before-it-was-rotated', 'token-of-after-that'];
    const secret = memberSecretOf('shop', secrets, () => tokens);
    const proofBy = (token: string) =>
      `n2 ${createHmac('sha256', token).update('understudy event stream for n2').digest('hex')}`;
    for (const token of tokens) assert.equal(provenMember(proofBy(token), 'stream', secret, n1), n2);
    tokens = ['token-of-after-that'];
    assert.equal(provenMember(proofBy('token-before-it-was-rotated'), 'stream', secret, n1), null);
    assert.equal(provenMember(proofBy('token-of-after-that'), 'stream', secret, n1), n2);
    assert.equal(provenMember(proofBy('token-of-after-that'), 'copy', secret, n1), null);
  });
});

describe('a token that is changed', () => {
  const [old, next] = ['0123456789abcdef', 'fedcba9876543210'] as const;
  const lines = (text: string) => parseTokens(text, 'f');
  const accept = { step: 'accept', name: 'ops', secret: next } as const;
  const [use, drop] = [{ step: 'use', name: 'ops' } as const, { step: 'drop', name: 'ops' } as const];
  const through = (tokens: readonly Token[], ...steps: readonly TokenStep[]) =>
    formatTokens(steps.reduce((each, step) => afterStep(each, step) ?? [], tokens));

  it('is accepted beside the old one before and while it is used, and keeps its name, role and place', () => {
    const before = lines(`admin ops ${old}\nview grafana abcdefabcdefabcd\n`);
    const rest = 'view grafana abcdefabcdefabcd\n';
    assert.equal(through(before, accept), `admin ops ${old}\nadmin ops.next ${next}\n${rest}`);
    assert.equal(through(before, accept, use), `admin ops ${next}\nadmin ops.last ${old}\n${rest}`);
    assert.equal(through(before, accept, use, drop), `admin ops ${next}\n${rest}`);
  });

  it('comes to the same when steps are said again, as after a run that was killed or by agents that share a file', () => {
    const before = lines(`admin ops ${old}\n`);
    assert.equal(
      through(before, accept, accept, use, use, accept, use, drop, drop, accept, use, drop),
      `admin ops ${next}\n`,
    );
    assert.equal(through(before, drop), `admin ops ${old}\n`);
    assert.equal(
      through(before, { ...accept, secret: 'another-one-of-a-run-before' }, accept, use, drop),
      `admin ops ${next}\n`,
    );
    assert.equal(afterStep(before, { step: 'use', name: 'nobody' }), null);
  });

  it('stays one word where it was one', () => {
    const named = { name: 'token' };
    const steps = [
      { ...accept, ...named },
      { ...use, ...named },
      { ...drop, ...named },
    ] as const;
    assert.equal(through(lines(`${old}\n`), ...steps), `${next}\n`);
    assert.equal(lines(through(lines(`${old}\n`), steps[0]))[0]?.secret, old);
  });
});

describe('tokens', () => {
  it('are one word for an administrator, or lines with role, name and token', () => {
    assert.deepEqual(parseTokens('0123456789abcdef\n', 'f'), [
      { role: 'admin', name: 'token', secret: '0123456789abcdef' },
    ]);
    assert.equal(strongestToken(TOKENS), '0000000000000000');
    assert.equal(strongestToken(TOKENS.slice(1)), '1111111111111111');
  });

  for (const text of [
    '',
    '# nothing',
    'short',
    'root ops 0123456789abcdef',
    'admin ops short',
    'admin 0123456789abcdef',
    'admin a 0123456789abcdef\nview a fedcba9876543210',
    'admin a 0123456789abcdef\nview b 0123456789abcdef',
    '0123456789abcdef\nfedcba9876543210',
  ]) {
    it(`are refused without being quoted: ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseTokens(text, 'f'),
        (error) => error instanceof Error && /^f: /.test(error.message) && !/0123456789abcdef/.test(error.message),
      );
    });
  }
});

describe('requests', () => {
  const HEAD: RequestHead = {
    method: 'POST',
    origin: null,
    fetchSite: null,
    host: '127.0.0.1:8008',
    contentType: 'application/json',
    hasBody: true,
  };
  const names = new Set(['db1.example']);
  const refused = (head: Partial<RequestHead>, by: 'token' | 'address' | 'certificate' = 'address') =>
    objectionTo({ ...HEAD, ...head }, { by }, names)?.kind ?? null;
  const form = 'application/x-www-form-urlencoded';

  it('of programs are let through', () => {
    assert.equal(refused({}), null);
    assert.equal(refused({ host: null }), null);
    assert.equal(refused({ host: 'DB1.example:8008' }), null);
    assert.equal(refused({ host: '[::1]:8008' }), null);
    assert.equal(refused({ contentType: 'application/json; charset=utf-8' }), null);
    assert.equal(refused({ contentType: null, hasBody: false }), null);
    assert.equal(refused({ contentType: form }, 'token'), null, 'curl -d');
    assert.equal(refused({ fetchSite: 'none' }), null, 'an address typed into a browser');
  });

  it('of web pages are not, by whatever they can be told', () => {
    assert.equal(refused({ origin: 'https://evil.example' }, 'token'), 'browser');
    assert.equal(refused({ origin: 'null' }), 'browser');
    assert.equal(refused({ fetchSite: 'cross-site', method: 'GET' }), 'browser');
    assert.equal(refused({ host: 'rebound.evil.example:8008' }), 'host');
    assert.equal(refused({ host: '127.0.0.1.evil.example' }), 'host');
    assert.equal(refused({ contentType: 'text/plain' }, 'token'), 'content-type');
    assert.equal(refused({ contentType: form }), 'content-type');
    assert.equal(refused({ contentType: form }, 'certificate'), 'content-type');
    assert.equal(refused({ contentType: null }), 'content-type');
  });
});

describe('addresses of this machine', () => {
  it('are written in many ways', () => {
    for (const host of [
      'localhost',
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '[::1]',
      '0:0:0:0:0:0:0:1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
    ])
      assert.equal(isLoopback(host), true, host);
  });

  it('are never names that others can point elsewhere', () => {
    for (const host of [
      '127.evil.example',
      '127.0.0.1.evil.example',
      '::ffff:127.evil',
      'localhost.evil.example',
      '127.1',
      '0.0.0.0',
      '::',
      '128.0.0.1',
      '::2',
      '',
    ])
      assert.equal(isLoopback(host), false, host);
  });
});

describe('links without TLS', () => {
  const file = (api: string, engine: string, store: string, more = '') =>
    parseNodeConfig(
      [
        'cluster: shop',
        'member: n1',
        `store: ${store}`,
        `api: { listen: "${api}" }`,
        `engine: { kind: postgres, dataDir: data, listen: "${engine}" }`,
        'secretsFile: secrets.json',
        'runDir: run',
        more,
      ].join('\n'),
      '/etc/understudy/n1.yaml',
    );
  const local = '{ kind: local, path: store.db }';
  const here = ['127.0.0.1:8008', '127.0.0.1:5432', local] as const;
  const cases = [
    ['api.tls', '10.0.0.1:8008', here[1], local],
    ['engine.tls', here[0], '10.0.0.1:5432', local],
    [
      'store.endpoints',
      here[0],
      here[1],
      '{ kind: etcd, endpoints: ["http://127.0.0.1:2379", "http://10.0.0.1:2379"] }',
    ],
    ['store.endpoints', here[0], here[1], '{ kind: etcd, endpoints: ["http://127.evil.example:2379"] }'],
  ] as const;

  it('within this machine need no word', () => assert.equal(file(...here).insecure, false));

  for (const [key, api, engine, store] of cases) {
    it(`are refused beyond it, with the line to add: ${key}`, () => {
      assert.throws(
        () => file(api, engine, store),
        (error) =>
          error instanceof Error && error.message.includes(`${key}: `) && /"insecure: true"/.test(error.message),
      );
      assert.equal(file(api, engine, store, 'insecure: true').insecure, true);
    });
  }
});

describe('the record of changes', () => {
  it('has no secrets of a body', () => {
    const body = {
      parameters: { archive_command: 'curl -u me:secret', work_mem: '8MB' },
      primary_conninfo: 'password=x',
    };
    const text = bodyText(body);
    assert.match(text, /8MB/);
    assert.doesNotMatch(text, /secret|password=x/);
    assert.ok(bodyText({ x: 'y'.repeat(10_000) }).length < 2_100);
  });
});
