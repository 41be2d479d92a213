// Goal: what is made is accepted where it has to be and nowhere else. Method: Node's own X.509 reader and real TLS connections on the
// loopback address judge it; both know nothing of the library that made it.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import fc from 'fast-check';
import {
  CertError,
  type CertErrorCode,
  ensureAuthority,
  ensureCertificate,
  inspectFile,
  LOCALHOST,
  type Made,
  makeAuthority,
  makeCertificate,
  type Names,
  validityOf,
} from '../src/index.ts';
import { checkedNames } from '../src/names.ts';
import { newKey, signLeaf } from '../src/x509.ts';

const dayMs = 86_400_000;

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'us-certs-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

const withCode =
  (code: CertErrorCode, text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof CertError && error.code === code && text.test(error.message);

interface Pair {
  readonly cert: string;
  readonly key: string;
}

async function read({ files }: Made): Promise<Pair> {
  const [cert, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')]);
  return { cert, key };
}

/** An authority in `root`/ca, and a certificate of it. */
async function make(root: string, names: Names, kind: 'node' | 'client' = 'node'): Promise<{ ca: string } & Pair> {
  const authority = await makeAuthority({ folder: join(root, 'ca') });
  const made = await makeCertificate({
    authority: join(root, 'ca'),
    kind,
    name: 'n1',
    names,
    prefix: join(root, 'n1'),
  });
  return { ca: (await read(authority)).cert, ...(await read(made)) };
}

/** One connection; the server asks for a certificate and takes only those of `trust`. Returns `accepted`, or the reason of whoever refused. */
async function handshake(
  server: Pair & { readonly trust: string },
  client: Partial<Pair> & { readonly ca: string; readonly servername: string },
): Promise<string> {
  const listening = createServer(
    { cert: server.cert, key: server.key, ca: server.trust, requestCert: true, rejectUnauthorized: true },
    (socket) => {
      socket.on('error', () => undefined);
      socket.end('hello');
    },
  );
  listening.on('tlsClientError', () => undefined);
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const { servername, ...rest } = client;
  // A refused client certificate shows only when the client reads (TLS 1.3).
  const outcome = await new Promise<string>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ...rest, timeout: 10_000 });
    socket.once('data', () => resolve('accepted'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('timeout', () => resolve('timeout'));
    socket.once('close', () => resolve('closed'));
  });
  await new Promise<void>((resolve) => listening.close(() => resolve()));
  return outcome;
}

test('an authority is one, for ten years, and its key is for its owner alone', async (t) => {
  const root = join(await folder(t), 'ca');
  const { view, files } = await makeAuthority({ folder: root, name: 'shop authority' });
  const read = new X509Certificate(await readFile(files.cert));
  assert.equal(read.ca, true);
  assert.equal(read.subject, 'CN=shop authority');
  assert.ok(read.verify(read.publicKey) && read.checkIssued(read));
  assert.match(read.toLegacyObject().asn1Curve ?? '', /prime256v1/);
  assert.equal(Math.round((view.notAfterWallMs - Date.now()) / dayMs), 3650);
  assert.equal((await stat(files.key)).mode & 0o777, 0o600);
  assert.equal((await stat(root)).mode & 0o777, 0o700);
  assert.match(await readFile(files.key, 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
  assert.deepEqual((await readdir(root)).toSorted(), ['ca.key', 'ca.pem']);
});

test('nodes accept each other by name and address, and nobody by another name', async (t) => {
  const root = await folder(t);
  const { ca, cert, key } = await make(root, { hosts: ['db1.example'], addresses: ['10.0.0.1', 'fd00::1'] });
  const server = { cert, key, trust: ca };
  for (const servername of ['db1.example', 'DB1.example']) {
    assert.equal(await handshake(server, { ca, cert, key, servername }), 'accepted');
  }
  assert.equal(await handshake(server, { ca, cert, key, servername: 'db2.example' }), 'ERR_TLS_CERT_ALTNAME_INVALID');
  assert.equal(await handshake(server, { ca, cert, key, servername: 'localhost' }), 'ERR_TLS_CERT_ALTNAME_INVALID');
  const read = new X509Certificate(cert);
  assert.equal(read.checkIP('10.0.0.1'), '10.0.0.1');
  assert.ok(read.checkIP('fd00::1') !== undefined);
  assert.equal(read.checkIP('127.0.0.1'), undefined);
});

test('a certificate of another authority is refused, by either side, and so is none', async (t) => {
  const ours = await make(await folder(t), LOCALHOST);
  const theirs = await make(await folder(t), LOCALHOST);
  const server = { ...ours, trust: ours.ca };
  const asks = { ca: ours.ca, servername: 'localhost' };
  assert.equal(await handshake(server, { ...ours, ...asks }), 'accepted');
  assert.notEqual(await handshake(server, { ...theirs, ...asks }), 'accepted');
  assert.notEqual(await handshake(server, asks), 'accepted');
  // Both authorities have the same name; it is the key that counts.
  assert.match(await handshake(server, { ...theirs, servername: 'localhost' }), /SIGNATURE|SELF_SIGNED|ISSUER/);
});

test('a client certificate is none of a server, and cannot sign', async (t) => {
  const root = await folder(t);
  const { ca, cert, key } = await make(root, { hosts: [], addresses: [] }, 'client');
  const node = await read(
    await makeCertificate({
      authority: join(root, 'ca'),
      kind: 'node',
      name: 'n2',
      names: LOCALHOST,
      prefix: join(root, 'n2'),
    }),
  );
  assert.equal(await handshake({ ...node, trust: ca }, { ca, cert, key, servername: 'localhost' }), 'accepted');
  assert.notEqual(await handshake({ cert, key, trust: ca }, { ca, ...node, servername: 'localhost' }), 'accepted');
  const forged = await signLeaf(
    { subject: 'n3', key: node.key, notAfterWallMs: Date.now() + dayMs },
    'node',
    LOCALHOST,
    { cert, key },
  );
  const chain = `${forged}${cert}`;
  assert.notEqual(
    await handshake({ cert: chain, key: node.key, trust: ca }, { ca, ...node, servername: 'localhost' }),
    'accepted',
  );
});

test('an expired certificate is refused', async (t) => {
  const root = await folder(t);
  const valid = await make(root, LOCALHOST);
  const key = await newKey();
  const signer = await read(await makeAuthority({ folder: join(root, 'ca'), existing: 'renew' }));
  const cert = await signLeaf({ subject: 'n1', key, notAfterWallMs: Date.now() - 60_000 }, 'node', LOCALHOST, signer);
  const trust = valid.ca;
  const asks = { ca: trust, servername: 'localhost' };
  assert.equal(await handshake({ cert, key, trust }, { ...valid, ...asks }), 'CERT_HAS_EXPIRED');
  assert.notEqual(await handshake({ ...valid, trust }, { cert, key, ...asks }), 'accepted');
});

test('a certificate ends with its authority at the latest, and says how long it still holds', async (t) => {
  const root = await folder(t);
  const authority = await makeAuthority({ folder: join(root, 'ca'), days: 40 });
  const request = {
    authority: join(root, 'ca'),
    kind: 'node',
    name: 'n1',
    names: LOCALHOST,
    prefix: join(root, 'n1'),
  } as const;
  const { view } = await makeCertificate(request);
  assert.equal(view.notAfterWallMs, authority.view.notAfterWallMs);
  const end = view.notAfterWallMs;
  assert.deepEqual(validityOf(view, end - 31 * dayMs), { kind: 'valid', leftMs: 31 * dayMs });
  assert.deepEqual(validityOf(view, end - 29 * dayMs), { kind: 'expires-soon', leftMs: 29 * dayMs });
  assert.deepEqual(validityOf(view, end), { kind: 'expired', agoMs: 0 });
  assert.equal(validityOf(view, view.notBeforeWallMs - 1).kind, 'not-yet');
});

test('nothing is overwritten unasked; a renewal keeps key and names, and what an authority signed stays good', async (t) => {
  const root = await folder(t);
  const first = await make(root, LOCALHOST);
  const request = { authority: join(root, 'ca'), kind: 'node', name: 'n1', prefix: join(root, 'n1') } as const;
  await assert.rejects(
    makeCertificate({ ...request, names: LOCALHOST }),
    withCode('CERT_EXISTS', /n1\.pem is there already/),
  );
  await assert.rejects(
    makeAuthority({ folder: join(root, 'ca') }),
    withCode('CERT_EXISTS', /ca\.pem is there already/),
  );
  assert.equal(await readFile(join(root, 'n1.pem'), 'utf8'), first.cert);
  const renewed = await makeCertificate({ ...request, existing: 'renew' });
  assert.equal(renewed.outcome, 'renewed');
  assert.deepEqual(renewed.view.names.hosts, LOCALHOST.hosts);
  assert.equal((await read(renewed)).key, first.key);
  assert.notEqual((await read(renewed)).cert, first.cert);
  const authority = await makeAuthority({ folder: join(root, 'ca'), existing: 'renew' });
  const ca = (await read(authority)).cert;
  assert.notEqual(ca, first.ca);
  const asks = { ca, servername: 'localhost' };
  assert.equal(await handshake({ ...first, trust: ca }, { ...(await read(renewed)), ...asks }), 'accepted');
  const anew = await read(await makeCertificate({ ...request, names: LOCALHOST, existing: 'replace' }));
  assert.notEqual(anew.key, first.key);
  await assert.rejects(
    makeCertificate({ ...request, kind: 'client', existing: 'renew' }),
    withCode('CERT_MISMATCH', /is the certificate of a node, not of a client/),
  );
});

test('a client for etcd has no common name, and a renewal gives it none', async (t) => {
  const root = await folder(t);
  await makeAuthority({ folder: join(root, 'ca') });
  const request = { authority: join(root, 'ca'), kind: 'client', name: 'n1', prefix: join(root, 'n1') } as const;
  await makeCertificate({ ...request, namedBy: 'organization' });
  const renewed = await makeCertificate({ ...request, existing: 'renew' });
  assert.deepEqual([renewed.view.namedBy, renewed.view.subject], ['organization', 'O=n1']);
  assert.equal(new X509Certificate((await read(renewed)).cert).subject, 'O=n1');
});

test('keys that others can read, that fit nothing, or that are missing are refused', async (t) => {
  const root = await folder(t);
  await make(root, LOCALHOST);
  const key = join(root, 'ca', 'ca.key');
  const request = {
    authority: join(root, 'ca'),
    kind: 'node',
    name: 'n2',
    names: LOCALHOST,
    prefix: join(root, 'n2'),
  } as const;
  await chmod(key, 0o640);
  await assert.rejects(makeCertificate(request), withCode('CERT_EXPOSED', /mode 0640 .*chmod 0600/));
  await chmod(key, 0o600);
  const original = await readFile(key);
  await writeFile(key, await newKey());
  await assert.rejects(makeCertificate(request), withCode('CERT_MISMATCH', /ca\.key does not belong to/));
  await writeFile(key, 'a secret that must not be shown');
  await assert.rejects(
    makeCertificate(request),
    (error) => withCode('CERT_UNREADABLE', /is not a key/)(error) && !String(error).includes('a secret'),
  );
  await rm(key);
  await assert.rejects(makeCertificate(request), withCode('CERT_UNREADABLE', /ca\.key is not there/));
  await writeFile(key, original, { mode: 0o600 });
  await assert.rejects(inspectFile(key), withCode('CERT_UNREADABLE', /holds a key\. Name the \.pem file/));
  await assert.rejects(inspectFile(join(root, 'none.pem')), withCode('CERT_UNREADABLE', /There is no file/));
  await rm(join(root, 'n1.pem'));
  const again = await makeCertificate({ ...request, prefix: join(root, 'n1'), existing: 'renew' });
  assert.equal(again.outcome, 'made', 'a key whose certificate a crash has prevented is used');
});

test('wrong names, addresses and durations are refused by name; right ones come back from the certificate', async (t) => {
  const root = await folder(t);
  await makeAuthority({ folder: join(root, 'ca') });
  const request = { authority: join(root, 'ca'), kind: 'node', name: 'n1', prefix: join(root, 'n1') } as const;
  const refused = (names: Partial<Names>, text: RegExp) =>
    assert.rejects(
      makeCertificate({ ...request, names: { hosts: [], addresses: [], ...names } }),
      withCode('CERT_INPUT', text),
    );
  await refused({}, /By what others reach n1 is not said/);
  await refused({ hosts: ['10.0.0.1'] }, /is an address/);
  await refused({ hosts: ['a b'] }, /"a b" is not a host name/);
  await refused({ addresses: ['10.0.0.256'] }, /is not an IP address/);
  await assert.rejects(makeCertificate({ ...request, names: LOCALHOST, days: 0 }), withCode('CERT_INPUT', /0 days/));
  await assert.rejects(makeCertificate({ ...request, name: 'n1, O=x' }), withCode('CERT_INPUT', /cannot name/));
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.domain(), { minLength: 1, maxLength: 4 }),
      fc.uniqueArray(fc.ipV4(), { maxLength: 4 }),
      async (hosts, addresses) => {
        const names = checkedNames({ hosts, addresses });
        const { view } = await makeCertificate({ ...request, names, existing: 'replace' });
        assert.deepEqual(view.names, names);
      },
    ),
    { numRuns: 25 },
  );
});

test('what is good is kept; what ends soon, lacks a name or is of another authority is not', async (t) => {
  const root = await folder(t);
  const authority = { folder: join(root, 'ca'), name: 'shop authority' };
  const request = {
    authority: join(root, 'ca'),
    kind: 'node',
    name: 'n1',
    names: LOCALHOST,
    prefix: join(root, 'n1'),
  } as const;
  const made = await ensureAuthority(authority);
  assert.equal(made.outcome, 'made');
  const first = await ensureCertificate(request);
  assert.equal(first.outcome, 'made');
  assert.deepEqual(await ensureAuthority(authority), { ...made, outcome: 'kept' });
  assert.deepEqual(await ensureCertificate(request), { ...first, outcome: 'kept' });
  assert.equal((await ensureCertificate(request, first.view.notAfterWallMs - 29 * dayMs)).outcome, 'renewed');
  const more = { ...request, names: { ...LOCALHOST, addresses: [...LOCALHOST.addresses, '10.0.0.1'] } };
  const wider = await ensureCertificate(more);
  assert.equal(wider.outcome, 'renewed');
  assert.ok(wider.view.names.addresses.includes('10.0.0.1'));
  assert.equal((await ensureAuthority(authority, made.view.notAfterWallMs - 29 * dayMs)).outcome, 'renewed');
  assert.equal((await ensureCertificate(more)).outcome, 'kept', 'a renewed authority is the same one');
  await rm(join(root, 'ca', 'ca.key'));
  assert.equal((await ensureCertificate(more)).outcome, 'kept', 'the key is needed for signing only');
  await rm(join(root, 'ca', 'ca.pem'));
  await ensureAuthority(authority);
  const moved = await ensureCertificate(more);
  assert.equal(moved.outcome, 'made');
  assert.notEqual(moved.view.serial, wider.view.serial);
});
