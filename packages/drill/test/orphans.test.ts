// A drill tidies up after drills that were killed. Anybody may make a folder of such a name: what is not its own is not entered.
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { endOrphans } from '../src/run/cluster.ts';

const canary = 'CANARY\n';
const isRoot = process.geteuid?.() === 0;
const base = mkdtempSync(join(tmpdir(), 'us-orphans-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** The folder of a cluster, as a drill that was killed leaves it. */
function plant(path: string): void {
  mkdirSync(path, { mode: 0o700 });
  const node = { name: 'n1', apiPort: 12_001, dbPort: 12_002 };
  const state = {
    format: 1,
    id: '0123abcd',
    name: 'drill',
    engine: 'postgres',
    version: '17',
    durability: 'sync',
    nodes: [node],
  };
  writeFileSync(join(path, 'state.json'), JSON.stringify({ ...state, store: { kind: 'local' } }));
}

const names = (path: string): boolean => existsSync(join(path, 'lock'));

test('only closed folders of this user are entered', async () => {
  const temporary = process.env.TMPDIR;
  process.env.TMPDIR = base;
  const at = (name: string): string => join(base, `understudy-drill-${name}`);
  const [secret, real] = [join(base, 'secret'), join(base, 'a-real-cluster')];
  writeFileSync(secret, canary, { mode: 0o600 });
  plant(real);
  for (const name of ['ours', 'open', 'theirs']) plant(at(name));
  symlinkSync(secret, join(at('theirs'), 'lock.owner'));
  symlinkSync(secret, join(at('open'), 'lock.owner'));
  chmodSync(at('open'), 0o777);
  symlinkSync(real, at('link'));
  writeFileSync(at('file'), '');
  if (isRoot) for (const path of [at('theirs'), join(at('theirs'), 'state.json')]) lchownSync(path, 54_321, 54_321);
  else chmodSync(at('theirs'), 0o720);
  try {
    assert.equal(await endOrphans(), 0);
  } finally {
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
  }
  assert.equal(readFileSync(secret, 'utf8'), canary);
  assert.deepEqual(
    [at('ours'), at('open'), at('theirs'), real].map(names),
    [true, false, false, false],
    'which were entered',
  );
  assert.equal(statSync(join(at('ours'), 'lock')).mode & 0o777, 0o600);
});
