// Goal: the logins of commands tell a server that is none of the cluster's no password. Method: rogue servers that ask for it in every way,
// with every certificate that a stranger can have; what they were told is looked at.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeAuthority, makeCertificate } from '@understudy/certs';
import { mysqlRogue, postgresRogue, type Rogue, type RogueCertificate, rogueHost } from '@understudy/engine/rogue';
import { driverFor } from '../src/sql/connect.ts';
import { scratchFolder } from './support/folders.ts';

const password = 'correct horse battery staple';
const timeoutMs = 10_000;
let remove: () => Promise<void> = async () => undefined;
let folder = '';
let ca = '';
let papers: Readonly<Record<'right' | 'wrong name' | 'another authority', RogueCertificate>>;

before(async () => {
  ({ folder, remove } = await scratchFolder());
  const [own, other] = [join(folder, 'ca'), join(folder, 'other')];
  ca = await readFile((await makeAuthority({ folder: own })).files.cert, 'utf8');
  await makeAuthority({ folder: other });
  const paper = async (name: string, address: string, authority: string): Promise<RogueCertificate> => {
    const names = { hosts: ['localhost'], addresses: [address] };
    const { files } = await makeCertificate({ authority, kind: 'node', name, names, prefix: join(folder, name) });
    return { cert: await readFile(files.cert, 'utf8'), key: await readFile(files.key, 'utf8') };
  };
  papers = {
    right: await paper('n1', rogueHost, own),
    'wrong name': await paper('n2', '127.0.0.9', own),
    'another authority': await paper('n3', rogueHost, other),
  };
});
after(() => remove());

/** Logs in at a rogue, which has to fail, and returns what it was told. */
async function loginAt(engine: string, rogue: Rogue, given: { readonly ca: string | null; readonly password?: null }) {
  try {
    const driver = await driverFor(engine);
    const login = { user: 'somebody', database: 'app', password, ...given };
    const host = { name: 'n1', host: rogue.host, port: rogue.port };
    const error = await driver.connect(host, login, timeoutMs).then(
      () => assert.fail('it logged in'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof Error && !error.message.includes(password));
    const told = JSON.stringify([rogue.loot.passwords, rogue.loot.answers.map(String), rogue.loot.commands]);
    assert.ok(!told.includes(password), told);
    // Goodbye (PostgreSQL's X) may be said.
    assert.deepEqual(
      rogue.loot.commands.filter((command) => command !== 'X'),
      [],
    );
    return { error, loot: rogue.loot };
  } finally {
    await rogue.close();
  }
}

for (const shown of ['wrong name', 'another authority'] as const) {
  test(`a certificate of ${shown}: the server is told not even a name`, async () => {
    const rogues = [
      ['postgres', await postgresRogue({ tls: papers[shown], asks: 'clear' })],
      ['mysql', await mysqlRogue({ tls: papers[shown], asks: 'clear', version: '9.7.4' })],
      ['mariadb', await mysqlRogue({ tls: papers[shown], asks: 'native', version: '5.5.5-11.8.9-MariaDB' })],
    ] as const;
    for (const [engine, rogue] of rogues) {
      const { loot } = await loginAt(engine, rogue, { ca });
      assert.deepEqual([loot.connections, loot.users], [1, []], engine);
    }
  });
}

test('where TLS is known, a server without it is told nothing', async () => {
  for (const [engine, rogue] of [
    ['postgres', await postgresRogue({ tls: null, asks: 'clear' })],
    ['mysql', await mysqlRogue({ tls: null, asks: 'full-sha2', version: '9.7.4' })],
  ] as const) {
    assert.deepEqual((await loginAt(engine, rogue, { ca })).loot.users, [], engine);
  }
});

for (const encryption of ['with TLS', 'without TLS'] as const) {
  test(`${encryption}: who asks for the password otherwise than our servers do does not get it`, async () => {
    const isTls = encryption === 'with TLS';
    const given = { ca: isTls ? ca : null };
    const tls = isTls ? papers.right : null;
    for (const asks of ['clear', 'md5', 'nothing'] as const) {
      const { error } = await loginAt('postgres', await postgresRogue({ tls, asks }), given);
      assert.match(error.message, /did not get the password/, asks);
    }
    for (const asks of ['clear', 'sha256'] as const) {
      const { error } = await loginAt('mysql', await mysqlRogue({ tls, asks, version: '9.7.4' }), given);
      assert.match(error.message, /did not get the password: it asked by (mysql_clear|sha256)_password/);
    }
  });
}

test('a password that only the driver knows, from a file, is kept as well', async () => {
  const file = join(folder, 'pgpass');
  await writeFile(file, `*:*:*:*:${password}\n`, { mode: 0o600 });
  process.env.PGPASSFILE = file;
  for (const asks of ['clear', 'md5'] as const) {
    const { loot } = await loginAt('postgres', await postgresRogue({ tls: null, asks }), { ca: null, password: null });
    assert.deepEqual(loot.answers, [], asks);
  }
});
