// Goal: the five minutes of the README work as they are written. Method: its own lines in a shell, against a cluster of this test's own;
// only PID is replaced, by what a reader would put there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { statusViewSchema } from '@understudy/agent/client';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import { ownCommand } from '../src/invocation.ts';
import { cleanEnvironment, cli } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';
import { codeBlocks } from './support/pages.ts';

let cluster: LocalCluster | null = null;
let folder = '';
let remove: () => Promise<void> = async () => undefined;

before(async () => {
  const scratch = await scratchFolder();
  remove = scratch.remove;
  folder = join(scratch.folder, 'cluster');
  cluster = await createLocalCluster({ folder, version: '17', nodes: 3, command: ownCommand });
  await cluster.start();
  await whole();
});

after(async () => {
  await cluster?.kill();
  await cluster?.stop();
  await remove();
});

/** A reader looks at the status before the next step. */
async function whole(): Promise<void> {
  const check = () => cli(['status', '--check', '--data-dir', folder]);
  await eventually('a whole cluster', async () => ((await check()).code === 0 ? true : null), 60_000);
}

/** The process of the primary's server. */
async function primaryProcess(): Promise<string> {
  const ran = await cli(['status', '--json', '--data-dir', folder]);
  const { leader } = statusViewSchema.parse(JSON.parse(ran.stdout));
  const node = cluster?.nodes.find(({ name }) => name === leader);
  assert.ok(node !== undefined);
  const [pid = ''] = (await readFile(join(node.paths.dataDir, 'postmaster.pid'), 'utf8')).split('\n');
  return pid;
}

function run(line: string): string {
  const [node = '', main = ''] = ownCommand;
  const npx = `npx() { shift; name=$1; shift; '${node}' '${main}' "$name" "$@" --data-dir '${folder}'; }`;
  const ran = spawnSync('sh', ['-euc', `${npx}\n${line}`], {
    encoding: 'utf8',
    env: cleanEnvironment(),
    timeout: 90_000,
  });
  assert.equal(ran.status, 0, `${line}\n${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

test('company_db goes through a kill and a switchover, and nothing is missing', async () => {
  const block = (await codeBlocks('README.md')).find(({ text }) => text.includes('create database company_db'));
  assert.ok(block !== undefined);
  const lines = block.text.trim().split('\n');
  const outputs: string[] = [];
  for (const line of lines) {
    const isKill = line.startsWith('kill -9 PID');
    outputs.push(run(isKill ? line.replace('PID', await primaryProcess()) : line));
    if (isKill) await whole();
  }
  const output = outputs.join('\n');
  assert.equal((output.match(/John\b.*5200\.00/g) ?? []).length, 2, 'both replicas show the rows');
  assert.match(output, /\b3\b.*16100\.50/, 'all three rows are there at the end');
  assert.match(output, /switchover/);
});
