/** Goal: users, passwords, tokens and certificates work, and their failures say what is wrong. Method: real etcd. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { type EtcdStoreConfig, openStore, type Store, StoreError } from '@understudy/store';
import { WatchLog } from '@understudy/store/conformance';
import { Authority, type CertificateFiles } from './support/certificates.ts';
import { type EtcdOptions, type EtcdProgram, EtcdServers, etcdPrograms } from './support/etcd.ts';
import { waitUntil } from './support/process.ts';

const CALL = { deadlineMs: 5_000 };
const PASSWORD = 'correct horse battery staple';

for (const program of await etcdPrograms()) {
  describe(`etcd ${program.version}, users and passwords`, () => {
    it('serves a user with permission for the prefix, also after all tokens were forgotten', async (t) => {
      const { servers, open } = await startWithUsers(t, program);
      const store = await open('agent', PASSWORD);
      const log = WatchLog.start(store);
      await put(store, 'k', 'first');
      await log.until('the key', ({ entries }) => entries.get('k')?.value === 'first');
      // Tokens live in the memory of the members.
      for (const member of servers.members) {
        await member.end('SIGKILL');
        member.start();
      }
      await assertEventually(() => put(store, 'k', 'second'));
      await log.until('the key', ({ entries }) => entries.get('k')?.value === 'second');
      const lease = await store.grantLease(60_000, CALL);
      assert.equal((await store.keepAlive(lease.id, CALL)).kind, 'alive');
      await log.close();
    });

    it('logs in again when its token has ended', async (t) => {
      const { servers, open } = await startWithUsers(t, program, { args: ['--auth-token-ttl=1', '--log-level=debug'] });
      const store = await open('agent', PASSWORD);
      await put(store, 'k', 'first');
      await waitUntil('the token has ended', 30_000, async () =>
        /deleted a simple token.*"user-name":"agent"/.test(servers.members[0]?.log ?? ''),
      );
      await put(store, 'k', 'second');
      assert.equal((await store.read(CALL)).entries.get('k')?.value, 'second');
    });

    it('goes on when users and roles change, which makes older tokens stale', async (t) => {
      const { admin, open } = await startWithUsers(t, program);
      const store = await open('agent', PASSWORD);
      await put(store, 'k', 'first');
      await admin('/v3/auth/user/add', { name: 'newcomer', password: 'x' });
      await put(store, 'k', 'second');
      assert.equal((await store.read(CALL)).entries.get('k')?.value, 'second');
    });

    it('names the mistake, and no password, when it is refused', async (t) => {
      const { open } = await startWithUsers(t, program);
      const refused: [Store, string][] = [
        [await open('agent', 'wrong password'), 'wrong password'],
        [await open('nobody', PASSWORD), PASSWORD],
        [await open('outsider', PASSWORD), PASSWORD],
        [await open(null, ''), PASSWORD],
      ];
      for (const [store, secret] of refused) {
        const calls: (() => Promise<unknown>)[] = [
          () => store.read(CALL),
          () => store.transact([], [{ kind: 'put', key: 'k', value: 'v' }], CALL),
        ];
        for (const call of calls) {
          const error = await call().then(
            () => assert.fail('it was let in'),
            (thrown: unknown) => thrown,
          );
          assert.ok(error instanceof StoreError);
          assert.equal(error.code, 'unauthorized', error.message);
          assert.equal(error.retry, 'unsafe');
          assert.ok(!error.message.includes(secret));
        }
        const log = WatchLog.start(store);
        await log.untilError('the refusal', (error) => error.code === 'unauthorized');
        await log.close();
      }
    });
  });

  describe(`etcd ${program.version}, certificates`, () => {
    it('serves over TLS with a client certificate, and refuses the wrong ones on either side', async (t) => {
      const folder = makeFolder(t);
      const authority = await Authority.create(folder, 'authority');
      const stranger = await Authority.create(folder, 'stranger');
      const tls = await authority.issue('member');
      const servers = await EtcdServers.start(program, { members: 1, tls });
      t.after(() => servers.stop());
      const open = async (files: EtcdStoreConfig['tls'], endpoints = servers.endpoints): Promise<Store> => {
        const store = await openStore({ kind: 'etcd', endpoints, cluster: 'c', ...(files && { tls: files }) });
        t.after(() => store.close());
        return store;
      };

      const store = await open(await authority.issue('agent'));
      const log = WatchLog.start(store);
      await put(store, 'k', 'v');
      await log.until('the key', ({ entries }) => entries.has('k'));
      await log.close();

      const foreign = await stranger.issue('foreign');
      const wrong = [
        await open({ caFile: authority.caFile }),
        await open({ ...foreign, caFile: authority.caFile }),
        await open({ ...tls, caFile: stranger.caFile }),
      ];
      for (const each of wrong) {
        await assert.rejects(each.read(CALL), { code: 'unauthorized', retry: 'unsafe' });
        const write = each.transact([], [{ kind: 'put', key: 'k', value: 'astray' }], CALL);
        await assert.rejects(write, { code: 'unauthorized', retry: 'unsafe' });
      }
      const plain = await open(
        undefined,
        servers.endpoints.map((endpoint) => endpoint.replace('https:', 'http:')),
      );
      await assert.rejects(plain.read({ deadlineMs: 500 }), { code: 'unavailable' });
      assert.equal((await store.read(CALL)).entries.get('k')?.value, 'v');
    });

    it('asks for user and password beside a certificate, which must have no common name then', async (t) => {
      const folder = makeFolder(t);
      const authority = await Authority.create(folder, 'authority');
      const agent = await authority.issue('agent-for-etcd', '/O=n1');
      const { open } = await startWithUsers(t, program, { tls: await authority.issue('member') }, agent);
      const store = await open('agent', PASSWORD, agent);
      await put(store, 'k', 'v');
      const others = [
        await open('outsider', PASSWORD, agent),
        await open('agent', 'wrong password', agent),
        await open(null, '', agent),
        await open('agent', PASSWORD, agent, 'cc'),
      ];
      for (const other of others) {
        const write = other.transact([], [{ kind: 'put', key: 'k', value: 'astray' }], CALL);
        await assert.rejects(write, { code: 'unauthorized', retry: 'unsafe' });
        await assert.rejects(other.read(CALL), { code: 'unauthorized', retry: 'unsafe' });
      }
      // etcd could take the name for a user; its gateway refuses that.
      const named = await open('agent', PASSWORD, await authority.issue('root'));
      await assert.rejects(named.read(CALL), { code: 'unauthorized', message: /--etcd/ });
      assert.equal((await store.read(CALL)).entries.get('k')?.value, 'v');
    });

    it('takes a replaced client certificate for its next connection, without being opened again', async (t) => {
      const folder = makeFolder(t);
      const authority = await Authority.create(folder, 'authority');
      const stranger = await Authority.create(folder, 'stranger');
      const servers = await EtcdServers.start(program, { members: 1, tls: await authority.issue('member') });
      t.after(() => servers.stop());
      const [first, foreign, second] = [
        await authority.issue('first'),
        await stranger.issue('foreign'),
        await authority.issue('second'),
      ];
      const tls = { caFile: authority.caFile, certFile: join(folder, 'own.crt'), keyFile: join(folder, 'own.key') };
      const replaceBy = (files: CertificateFiles): void => {
        copyFileSync(files.keyFile, tls.keyFile);
        copyFileSync(files.certFile, tls.certFile);
      };
      replaceBy(first);
      const store = await openStore({ kind: 'etcd', endpoints: servers.endpoints, cluster: 'c', tls });
      t.after(() => store.close());
      const log = WatchLog.start(store);
      await put(store, 'k', '1');

      replaceBy(foreign);
      await waitUntil('the foreign certificate is shown and refused', 10_000, () => isRefused(store));
      // A certificate of another key, as in the middle of being replaced: the pair that was loaded stays.
      copyFileSync(second.certFile, tls.certFile);
      await assert.rejects(put(store, 'k', '2'), { code: 'unauthorized', retry: 'unsafe' });
      replaceBy(second);
      await waitUntil('the second certificate is shown and taken', 10_000, async () => !(await isRefused(store)));
      await put(store, 'k', '3');
      await log.until('the last write', ({ entries }) => entries.get('k')?.value === '3');
      await log.close();
    });
  });
}

/** False when the store answers. Anything else than a refusal is a fault. */
async function isRefused(store: Store): Promise<boolean> {
  try {
    await store.read(CALL);
    return false;
  } catch (error) {
    assert.ok(error instanceof StoreError && error.code === 'unauthorized', String(error));
    return true;
  }
}

async function put(store: Store, key: string, value: string): Promise<void> {
  const result = await store.transact([], [{ kind: 'put', key, value }], CALL);
  assert.equal(result.kind, 'committed');
}

/** Repeats a call that may be repeated, while the store comes back. */
async function assertEventually(call: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof StoreError) || error.retry === 'unsafe' || attempt === 10) throw error;
    }
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function postPlain(url: string, headers: Record<string, string>, body: object): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

async function postTls(
  url: string,
  headers: Record<string, string>,
  body: object,
  { caFile, certFile, keyFile }: CertificateFiles,
): Promise<Answer> {
  const [ca, cert, key] = [caFile, certFile, keyFile].map((file) => readFileSync(file, 'utf8'));
  const request = httpsRequest(url, { method: 'POST', headers, ca, cert, key, agent: false });
  request.end(JSON.stringify(body));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, text: await text(response) };
}

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'us-secure-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A store with the users root, agent (may use the prefix of the cluster `c`) and outsider (may not). */
async function startWithUsers(
  t: TestContext,
  program: EtcdProgram,
  options: Pick<EtcdOptions, 'tls' | 'args'> = {},
  own: CertificateFiles | null = null,
) {
  const servers = await EtcdServers.start(program, { members: 1, ...options });
  t.after(() => servers.stop());
  const folder = makeFolder(t);
  let token: string | null = null;
  const admin = async (path: string, body: object): Promise<unknown> => {
    const headers: Record<string, string> = token === null ? {} : { Authorization: token };
    const url = `${servers.endpoints[0]}${path}`;
    const answer = await (own === null ? postPlain(url, headers, body) : postTls(url, headers, body, own));
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    const parsed: unknown = JSON.parse(answer.text);
    return parsed;
  };
  for (const name of ['root', 'agent', 'outsider']) await admin('/v3/auth/user/add', { name, password: PASSWORD });
  for (const name of ['root', 'agent']) await admin('/v3/auth/role/add', { name });
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const perm = { permType: 'READWRITE', key: base64('understudy/c/'), range_end: base64('understudy/c0') };
  await admin('/v3/auth/role/grant', { name: 'agent', perm });
  for (const name of ['root', 'agent']) await admin('/v3/auth/user/grant', { user: name, role: name });
  await admin('/v3/auth/enable', {});
  const authenticated = await admin('/v3/auth/authenticate', { name: 'root', password: PASSWORD });
  assert.ok(typeof authenticated === 'object' && authenticated !== null && 'token' in authenticated);
  token = String(authenticated.token);

  const open = async (
    username: string | null,
    password: string,
    tls: CertificateFiles | null = null,
    cluster = 'c',
  ): Promise<Store> => {
    const passwordFile = join(folder, `${username}-${password.length}`);
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    const credentials = username === null ? {} : { username, passwordFile };
    const store = await openStore({
      kind: 'etcd',
      endpoints: servers.endpoints,
      cluster,
      ...(tls && { tls }),
      ...credentials,
    });
    t.after(() => store.close());
    return store;
  };
  return { servers, admin, open };
}
