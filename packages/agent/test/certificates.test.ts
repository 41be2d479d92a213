// Goal: the end of a certificate in use is known and warned of in time. Method: real certificates, clocks as values.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LOCALHOST, makeAuthority, makeCertificate } from '@understudy/certs';
import { type CertificateFile, CertificateWatch, certificateFiles } from '../src/certificates/watch.ts';
import { nodeConfigSchema } from '../src/config/node-config.ts';

const dayMs = 86_400_000;
const lookEveryMs = 10_000;

async function certificates(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'us-watch-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await makeAuthority({ folder: join(folder, 'ca') });
  return (days: number) =>
    makeCertificate({
      authority: join(folder, 'ca'),
      kind: 'node',
      name: 'n1',
      names: LOCALHOST,
      prefix: join(folder, 'n1'),
      days,
      existing: 'replace',
    });
}

test('a warning begins 30 days before the end and says what to do', async (t) => {
  const { files, view } = await (await certificates(t))(60);
  const of = (taken: CertificateFile['taken'], use: CertificateFile['use']) => ({ use, file: files.cert, taken });
  const watch = new CertificateWatch([of('while-running', 'engine'), of('at-start', 'api')]);
  assert.deepEqual(watch.warnings(view.notAfterWallMs), [], 'nothing is known before the first look');
  await watch.look(0);
  assert.deepEqual(
    watch.ends.map(({ use, notAfterWallMs }) => [use, notAfterWallMs]),
    [
      ['engine', view.notAfterWallMs],
      ['api', view.notAfterWallMs],
    ],
  );
  assert.deepEqual(watch.warnings(view.notAfterWallMs - 30 * dayMs), []);
  const [engine = '', api = ''] = watch.warnings(view.notAfterWallMs - 30 * dayMs + 1);
  assert.match(engine, /^the engine certificate \/.*n1\.pem expires in 29 days: renew it$/);
  assert.match(api, /^the api certificate .*: renew it, then end this agent alone \(SIGUSR2\)/);
  assert.match(watch.warnings(view.notAfterWallMs - 1)[0] ?? '', /expires within a day/);
  assert.match(watch.warnings(view.notAfterWallMs + 1)[0] ?? '', /has expired/);
});

test('a replaced file is seen at the next look where it is used; a missing or damaged one changes nothing', async (t) => {
  const make = await certificates(t);
  const { files, view } = await make(20);
  const file = files.cert;
  const watch = new CertificateWatch([
    { use: 'engine', file, taken: 'while-running' },
    { use: 'api', file, taken: 'at-start' },
  ]);
  const ends = () => watch.ends.map(({ notAfterWallMs }) => notAfterWallMs);
  await watch.look(0);
  const renewed = (await make(90)).view.notAfterWallMs;
  await watch.look(lookEveryMs - 1);
  assert.deepEqual(ends(), [view.notAfterWallMs, view.notAfterWallMs]);
  await watch.look(lookEveryMs);
  assert.deepEqual(ends(), [renewed, view.notAfterWallMs], 'the API still uses the one of the start');
  await writeFile(file, 'damaged');
  await watch.look(2 * lookEveryMs);
  await rm(file);
  await watch.look(3 * lookEveryMs);
  assert.deepEqual(ends(), [renewed, view.notAfterWallMs]);
});

test('every certificate of a configuration is watched, and none where there is none', () => {
  const common = { cluster: 'shop', member: 'n1', secretsFile: 's', runDir: 'r' };
  const engine = { kind: 'postgres', dataDir: 'd' } as const;
  const plain = nodeConfigSchema.parse({ ...common, engine, store: { kind: 'local', path: 'p' } });
  assert.deepEqual(certificateFiles(plain), []);
  const tls = { ca: 'ca.pem', cert: 'n1.pem', key: 'n1.key' };
  const all = nodeConfigSchema.parse({
    ...common,
    engine: { ...engine, tls },
    api: { tls },
    store: { kind: 'etcd', endpoints: ['https://e:2379'], tls: { caFile: 'ca.pem', certFile: 'n1.pem', keyFile: 'k' } },
  });
  assert.deepEqual(
    certificateFiles(all).map(({ use, file }) => `${use} ${file}`),
    ['engine n1.pem', 'engine-ca ca.pem', 'api n1.pem', 'api-ca ca.pem', 'store n1.pem', 'store-ca ca.pem'],
  );
});
