import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeAuthority, makeCertificate } from '@understudy/certs';
import { certificateWarnings, isLoopback, ownCertificate } from '@understudy/engine/host';

async function certificateOf(t: TestContext, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'us-pem-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const authority = join(folder, 'ca');
  await makeAuthority({ folder: authority });
  const names = { hosts: ['db1.example'], addresses: ['10.0.0.1', 'fd00::1'] };
  const { files } = await makeCertificate({ authority, kind: 'node', name, names, prefix: join(folder, 'node') });
  return readFile(files.cert, 'utf8');
}

describe('the certificate of a member', () => {
  it('says who it is by its subject alone, and by what it is reached', async (t) => {
    const pem = await certificateOf(t, 'n1');
    const own = ownCertificate(pem, 'n1');
    assert.equal(own.identity, 'name');
    assert.equal(ownCertificate(pem, 'n2').identity, 'authority');
    assert.deepEqual(
      ['10.0.0.1', 'fd00::1', 'db1.example', '10.0.0.2', 'db2.example', 'localhost'].map((host) => own.covers(host)),
      [true, true, true, false, false, false],
    );
    assert.throws(() => ownCertificate('nothing', 'n1'), { code: 'ENGINE_DATA_REFUSED' });
  });

  it('is warned of where it does not hold what links rest on', async (t) => {
    const pem = await certificateOf(t, 'n1');
    assert.deepEqual(certificateWarnings(ownCertificate(pem, 'n1'), 'full', '10.0.0.1'), []);
    const [anybody, unnamed, other] = certificateWarnings(ownCertificate(pem, 'n2'), 'ca', '10.0.0.9');
    assert.match(anybody ?? '', /engine\.tls\.verify is "ca"/);
    assert.match(unnamed ?? '', /does not name 10\.0\.0\.9/);
    assert.match(other ?? '', /acknowledge in the name of another/);
    const heldBack = ownCertificate(pem, 'n1', 'authority');
    assert.equal(heldBack.identity, 'authority');
    const [until = '', ...rest] = certificateWarnings(heldBack, 'full', '10.0.0.1');
    assert.match(until, /^engine\.tls\.identity is "authority".* Remove the setting once/);
    assert.deepEqual(rest, []);
  });
});

describe('loopback', () => {
  it('is an address of this machine, and no name that looks like one', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '::ffff:127.0.0.1'])
      assert(isLoopback(host), host);
    for (const host of ['127.evil.example', '10.0.0.1', '2130706433', 'localhost.example', ''])
      assert(!isLoopback(host), host);
  });
});
