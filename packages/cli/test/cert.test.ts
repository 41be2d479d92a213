// Goal: the certificate commands make, keep, renew and show what they say. Method: the real command in a folder of its own.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cli, type Ran } from './support/cli.ts';
import { scratchFolder } from './support/folders.ts';

let folder = '';
let remove: () => Promise<void> = async () => undefined;
const cert = (...args: readonly string[]): Promise<Ran> => cli(['cert', ...args], { cwd: folder });
const node = ['node', '--ca', 'ca', '--name', 'n1', '--out', 'pki/n1'];

/** An authority of one day, long ago. */
const expired = `-----BEGIN CERTIFICATE-----
MIIBaTCCAQ+gAwIBAgIQARoosqnVLPY+CcZcwb6kjzAKBggqhkjOPQQDAjATMREw
DwYDVQQDEwhsb25nIGFnbzAeFw0yNjExMjAwMzM3NTRaFw0yNjExMjEwMzM2NTRa
MBMxETAPBgNVBAMTCGxvbmcgYWdvMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
uij/ux18AkfimjQCJeD4bMKxk2NN/7cYxyW/VqX3ORr8dGb1IubOtVWp5uCfsbiq
HhFCvjFYzjekptZgzkGtNaNFMEMwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8B
Af8EBAMCAQYwHQYDVR0OBBYEFJNSJpcABwLy6HSmHoBoUwvBWWnnMAoGCCqGSM49
BAMCA0gAMEUCIBjmG0VH/OSRA5zi6Jzb2CtqakZTV9gnntMmSu/y6PfgAiEA0SrO
zYfxCtknvmaLVC6WmJ6D+55RagAuhp5JefdtfVE=
-----END CERTIFICATE-----
`;

before(async () => {
  ({ folder, remove } = await scratchFolder());
});
after(() => remove());

test('an authority and a certificate are made, shown, and not overwritten', async () => {
  const ca = await cert('ca', '--dir', 'ca', '--name', 'shop authority');
  assert.equal(ca.code, 0, ca.stderr);
  assert.match(ca.stdout, /ca\/ca\.pem {2}made: shop authority, until 20\d\d-.*\n.*ca\/ca\.key {2}It signs/);
  const made = await cert(...node, '--host', 'db1.example', 'n1', '--ip', '10.0.0.1', '--days', '60', '--json');
  assert.equal(made.code, 0, made.stderr);
  const { outcome, names, notAfter, kind } = JSON.parse(made.stdout);
  assert.deepEqual([outcome, kind], ['made', 'node']);
  assert.deepEqual(names, { hosts: ['db1.example', 'n1'], addresses: ['10.0.0.1'] });
  assert.equal(Math.round((Date.parse(notAfter) - Date.now()) / 86_400_000), 60);
  const read = new X509Certificate(await readFile(join(folder, 'pki/n1.pem')));
  const authority = new X509Certificate(await readFile(join(folder, 'ca/ca.pem')));
  assert.ok(read.verify(authority.publicKey) && read.checkIssued(authority));
  assert.equal((await stat(join(folder, 'pki/n1.key'))).mode & 0o777, 0o600);
  const again = await cert(...node, '--host', 'db1.example');
  assert.equal(again.code, 2);
  assert.match(again.stderr, /^error: .*n1\.pem is there already, and nothing was changed\.\nnext: {2}Add --renew/);
  const shown = await cert('show', 'pki/n1.pem', 'ca/ca.pem');
  assert.equal(shown.code, 0);
  assert.match(
    shown.stdout,
    /subject +n1 \(node\)\n +names +db1\.example, n1, 10\.0\.0\.1\n +signed by +shop authority/,
  );
  assert.match(shown.stdout, /ca\/ca\.pem\n +subject +shop authority \(authority\)\n +signed by +itself/);
  assert.equal(shown.stderr, '');
});

test('a renewal keeps names and key; one that ends soon is warned of, an expired one is an error', async () => {
  const key = await readFile(join(folder, 'pki/n1.key'), 'utf8');
  const renewed = await cert(...node, '--renew', '--days', '20');
  assert.equal(renewed.code, 0, renewed.stderr);
  assert.match(renewed.stdout, /renewed: n1 \(db1\.example, n1, 10\.0\.0\.1\).*\n.*is the same as before/);
  assert.equal(await readFile(join(folder, 'pki/n1.key'), 'utf8'), key);
  const soon = await cert('show', 'pki/n1.pem');
  assert.equal(soon.code, 0);
  assert.match(soon.stderr, /^warning: pki\/n1\.pem expires in (19|20) d/);
  await writeFile(join(folder, 'expired.pem'), expired);
  const late = await cert('show', 'expired.pem', '--json');
  assert.equal(late.code, 1);
  assert.equal(JSON.parse(late.stdout)[0].validity.kind, 'expired');
});

test('what cannot be is refused, with what to do', async () => {
  for (const [args, cause, next] of [
    [
      ['node', '--ca', 'none', '--name', 'n2', '--out', 'n2', '--ip', '10.0.0.2'],
      /none\/ca\.pem is not there/,
      /Make an authority/,
    ],
    [['node', '--ca', 'ca', '--name', 'n2', '--out', 'n2'], /By what others reach n2 is not said/, /Give a host name/],
    [
      ['node', '--ca', 'ca', '--name', 'n2', '--out', 'n2', '--host', 'a_b!'],
      /"a_b!" is not a host name/,
      /db1\.example/,
    ],
    [['node', '--name', 'n2'], /--ca <folder>' not specified/, /--help/],
    [
      ['client', '--ca', 'ca', '--name', 'n1', '--out', 'pki/n1', '--renew'],
      /of a node, not of a client/,
      /another place/,
    ],
    [['show', 'pki/n1.key'], /holds a key/, /\.pem file/],
    [['show', 'ca'], /ca cannot be read \(EISDIR\)/, /Correct the path/],
  ] as const) {
    const ran = await cert(...args);
    assert.equal(ran.code, 2, args.join(' '));
    const [error = '', advice = ''] = ran.stderr.split('\nnext:');
    assert.match(error, cause);
    assert.match(advice, next);
  }
});
