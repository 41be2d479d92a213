/** Goal: a wrong configuration is refused with the names of the wrong settings, before anything is opened. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { openStore, parseStoreConfig, StoreError } from '@understudy/store';

const etcd = { kind: 'etcd', endpoints: ['http://127.0.0.1:2379'], cluster: 'main' };
const tls = { caFile: '/ca.crt' };

it('takes what the documentation shows', () => {
  const good: unknown[] = [
    { kind: 'local', path: '/var/lib/understudy/store.sqlite', cluster: 'main' },
    etcd,
    { ...etcd, endpoints: ['https://etcd1.example:2379', 'https://[::1]:2379'], tls },
    { ...etcd, username: 'understudy', passwordFile: '/run/secrets/etcd' },
  ];
  for (const config of good) assert.deepEqual(parseStoreConfig(config), config);
});

it('names what is wrong', () => {
  const wrong: [unknown, RegExp][] = [
    [null, /whole/],
    [{ kind: 'zookeeper', cluster: 'main' }, /store\.kind/],
    [{ kind: 'local', cluster: 'main' }, /store\.path/],
    [{ kind: 'local', path: '/x', cluster: 'a/b' }, /store\.cluster/],
    [{ kind: 'local', path: '/x', cluster: 'main', pth: 1 }, /pth/],
    [{ ...etcd, endpoints: [] }, /store\.endpoints/],
    [{ ...etcd, endpoints: ['127.0.0.1:2379'] }, /store\.endpoints\.0/],
    [{ ...etcd, endpoints: ['http://user:secret@127.0.0.1:2379'] }, /store\.endpoints\.0/],
    [{ ...etcd, endpoints: ['http://127.0.0.1:2379/v3'] }, /store\.endpoints\.0/],
    [{ ...etcd, endpoints: ['http://a:1', 'https://b:1'] }, /all http or all https/],
    [{ ...etcd, tls }, /needs https/],
    [{ ...etcd, endpoints: ['https://a:1'], tls: { ...tls, certFile: '/c' } }, /go together/],
    [{ ...etcd, username: 'understudy' }, /go together/],
  ];
  for (const [config, expected] of wrong) {
    assert.throws(
      () => parseStoreConfig(config),
      (error) => {
        assert.ok(error instanceof StoreError && error.code === 'invalid-config' && error.retry === 'unsafe');
        assert.match(error.message, expected);
        assert.ok(!error.message.includes('secret'));
        return true;
      },
    );
  }
});

it('refuses files that cannot be read or are no certificates, by the name of the setting', async () => {
  const base = { kind: 'etcd' as const, endpoints: ['https://127.0.0.1:2379'], cluster: 'main' };
  const files = [
    [{ ...base, tls: { caFile: '/no/such/file' } }, /tls\.caFile/],
    [
      { ...base, tls: { caFile: import.meta.filename, certFile: import.meta.filename, keyFile: import.meta.filename } },
      /store\.tls/,
    ],
    [{ ...base, username: 'understudy', passwordFile: '/no/such/file' }, /passwordFile/],
  ] as const;
  for (const [config, expected] of files) {
    await assert.rejects(openStore(config), { code: 'invalid-config', message: expected });
  }
});
