// Goal: what an archive, a mirror or somebody in between offers is taken only when Debian signed it and it is what was tested, or newer,
// and then with a word. Method: archives of this test's own, hostile in one way each, and the machine's real apt.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fetchFromDebian } from '../src/fetch-debian.ts';
import type { Pins } from '../src/pins.ts';
import type { DebianRecipe } from '../src/recipe.ts';

const isHere = ['gpg', 'dpkg-deb', 'apt-get'].every((program) => spawnSync(program, ['--version']).status === 0);
const options = { skip: !isHere, timeout: 120_000 };

const recipe: DebianRecipe = {
  kind: 'debian',
  suite: 'trixie',
  packages: ['understudy-hello'],
  libraries: { kind: 'none' },
  remove: [],
  downloadMb: 1,
  probe: { program: 'usr/bin/hello', args: [], pattern: /(.*)/ },
};

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'us-archive-'));
  await mkdir(join(root, 'gnupg'), { mode: 0o700 });
  if (!isHere) return;
  for (const name of ['debian', 'foreign']) {
    gpg(['--passphrase', '', '--quick-generate-key', `${name}@example.invalid`, 'ed25519', 'sign', 'never']);
    await writeFile(join(root, `${name}.gpg`), gpg(['--export', `${name}@example.invalid`]), { mode: 0o644 });
  }
});
after(async () => {
  spawnSync('gpgconf', ['--homedir', join(root, 'gnupg'), '--kill', 'all']);
  await rm(root, { recursive: true, force: true });
});

function gpg(args: readonly string[], input?: string): Buffer {
  const all = ['--homedir', join(root, 'gnupg'), '--batch', '--yes', ...args];
  const ran = spawnSync('gpg', all, input === undefined ? {} : { input });
  assert.equal(ran.status, 0, String(ran.stderr));
  return ran.stdout;
}

const digestOf = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');

interface Offer {
  readonly version: string;
  readonly text: string;
  readonly signer?: 'debian' | 'foreign';
  /** Days from now until which the index holds. */
  readonly validDays?: number;
}

/** Makes an archive with one package. @returns its address and the digest of the package */
async function archive({ version, text, signer = 'debian', validDays = 7 }: Offer) {
  const folder = await mkdtemp(join(root, 'archive-'));
  const tree = join(folder, 'tree');
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'usr', 'bin'), { recursive: true });
  await writeFile(join(tree, 'usr', 'bin', 'hello'), text);
  const control = `Package: understudy-hello\nVersion: ${version}\nArchitecture: amd64\nMaintainer: T <t@example.invalid>\nDescription: x\n`;
  await writeFile(join(tree, 'DEBIAN', 'control'), control);
  const file = join(folder, 'pool.deb');
  const built = spawnSync('dpkg-deb', ['--root-owner-group', '--build', tree, file]);
  assert.equal(built.status, 0, String(built.stderr));
  const content = await readFile(file);
  const entry = `${control}Filename: pool.deb\nSize: ${content.length}\nSHA256: ${digestOf(content)}\n\n`;
  const index = join(folder, 'dists', 'trixie', 'main', 'binary-amd64');
  await mkdir(index, { recursive: true });
  await writeFile(join(index, 'Packages'), entry);
  const dayMs = 86_400_000;
  const date = new Date(Date.now() - 30 * dayMs).toUTCString();
  const until = new Date(Date.now() + validDays * dayMs).toUTCString();
  const release = [
    'Origin: Debian',
    'Suite: trixie',
    'Codename: trixie',
    `Date: ${date.replace('GMT', 'UTC')}`,
    `Valid-Until: ${until.replace('GMT', 'UTC')}`,
    'Architectures: amd64',
    'Components: main',
    'SHA256:',
    ` ${digestOf(entry)} ${entry.length} main/binary-amd64/Packages`,
    '',
  ].join('\n');
  const signed = gpg(['--local-user', `${signer}@example.invalid`, '--clearsign'], release);
  await writeFile(join(folder, 'dists', 'trixie', 'InRelease'), signed);
  return { address: `copy:${folder}`, file, sha256: digestOf(content) };
}

/** What the fetch said to a person, and whether anything was unpacked. */
async function fetched(address: string, pins: Pins, keys = join(root, 'debian.gpg')) {
  const folder = await mkdtemp(join(root, 'got-'));
  const notices: string[] = [];
  const report = (step: string, _: number | null, text: string): void => {
    if (step === 'notice') notices.push(text);
  };
  const error = await fetchFromDebian(recipe, folder, report, { archive: { address, keys }, pins }).then(
    () => null,
    (cause: unknown) => cause,
  );
  const got = await readFile(join(folder, 'usr', 'bin', 'hello'), 'utf8').catch(() => null);
  const message = error instanceof Error ? error.message : '';
  assert.equal(error === null, got !== null, message);
  return { notices, got, message };
}

test('what was tested is taken without a word', options, async () => {
  const { address, sha256 } = await archive({ version: '1.2-1', text: 'one' });
  const { notices, got } = await fetched(address, { 'understudy-hello': `1.2-1 ${sha256}` });
  assert.deepEqual([notices, got], [[], 'one']);
});

test('the tested version with another content is refused, whoever signed the index', options, async () => {
  const { address } = await archive({ version: '1.2-1', text: 'other' });
  const { message } = await fetched(address, { 'understudy-hello': `1.2-1 ${digestOf('one')}` });
  assert.match(message, /understudy-hello 1\.2-1 is not the archive .*SHA-256 differs/);
});

test(
  'an index of the past is refused, within its date or not; past its date that is said as well',
  options,
  async () => {
    for (const validDays of [7, -1]) {
      const { address } = await archive({ version: '1.2-1', text: 'with holes', validDays });
      const { message, notices } = await fetched(address, { 'understudy-hello': `1:0.9-1 ${digestOf('one')}` });
      assert.match(message, /older than the tested 1:0\.9-1: it is an index of the past/);
      assert.equal(notices.length, validDays < 0 ? 1 : 0);
    }
  },
);

test('an index past its date with what was tested is taken, and said to be old', options, async () => {
  const { address, sha256 } = await archive({ version: '1.2-1', text: 'one', validDays: -1 });
  const { notices, got } = await fetched(address, { 'understudy-hello': `1.2-1 ${sha256}` });
  assert.match(notices.join(), /The package index of Debian trixie is not of today/);
  assert.equal(got, 'one');
});

test('a newer package is taken with a word; one that is on no list is not', options, async () => {
  const { address } = await archive({ version: '1.10-1', text: 'new' });
  const { notices, got } = await fetched(address, { 'understudy-hello': `1.9-1 ${digestOf('one')}` });
  assert.match(notices.join(), /newer packages than those tested.*understudy-hello 1\.10-1/);
  assert.equal(got, 'new');
  assert.match((await fetched(address, {})).message, /is not on the list/);
});

test('an index signed by somebody else, and a package that the index does not name, are refused', options, async () => {
  const foreign = await archive({ version: '1.2-1', text: 'one', signer: 'foreign' });
  const known = { 'understudy-hello': `1.2-1 ${foreign.sha256}` };
  assert.match((await fetched(foreign.address, known)).message, /could not read the index/);
  const swapped = await archive({ version: '1.2-1', text: 'one' });
  const content = await readFile(swapped.file);
  content[content.length - 1] = 1 ^ (content.at(-1) ?? 0);
  await writeFile(swapped.file, content);
  const { message } = await fetched(swapped.address, { 'understudy-hello': `1.2-1 ${swapped.sha256}` });
  assert.match(message, /could not download/);
});

test('keys that are not there, or that others can change, are not believed', options, async () => {
  const { address, sha256 } = await archive({ version: '1.2-1', text: 'one' });
  const known = { 'understudy-hello': `1.2-1 ${sha256}` };
  assert.match(
    (await fetched(address, known, join(root, 'none.gpg'))).message,
    /keys of Debian's archive are not on this machine/,
  );
  const loose = join(root, 'loose.gpg');
  await writeFile(loose, await readFile(join(root, 'debian.gpg')));
  await chmod(loose, 0o666);
  assert.equal((await stat(loose)).mode & 0o777, 0o666);
  assert.match((await fetched(address, known, loose)).message, /can be changed by others/);
});
