// Goal: the command line says what it is, in every corner. Method: the real command as a child process; the tree itself for its help.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { drillUsage, faultNames } from '@understudy/drill';
import type { Command } from 'commander';
import { PLAIN } from '../src/output/style.ts';
import { buildProgram } from '../src/program.ts';
import { cli, cliOnTerminal } from './support/cli.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-cli-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const silent = {
  isTTY: false,
  columns: () => 100,
  rows: () => 50,
  write: () => undefined,
  onResize: () => () => undefined,
};

function program(): Command {
  const io = {
    out: silent,
    err: silent,
    input: process.stdin,
    env: {},
    ask: async () => '',
    outliveReader: () => undefined,
  };
  const interruption = (): AbortSignal => new AbortController().signal;
  return buildProgram({ io, format: 'text', style: PLAIN, errStyle: PLAIN, interruption }, () => undefined);
}

function everyCommand(command: Command, path: readonly string[] = []): { path: string; command: Command }[] {
  const inner = command.commands.filter((each) => each.name() !== 'help');
  return [{ path: path.join(' '), command }, ...inner.flatMap((each) => everyCommand(each, [...path, each.name()]))];
}

test('the help of every command shows what it does and an example; all but groups know --json', async () => {
  const all = everyCommand(program());
  assert.ok(all.length > 20);
  for (const { path, command } of all) {
    let text = '';
    command.configureOutput({ writeOut: (part) => (text += part) });
    command.outputHelp();
    assert.match(text, /Examples:\n {2}\S/, `${path} has no example`);
    assert.match(text, /^Usage: understudy/, path);
    if (command.commands.length === 0) assert.match(text, /--json/, path);
  }
});

test('the command takes every option of the drill, and names every fault', () => {
  const options = everyCommand(program()).find(({ path }) => path === 'drill')?.command.options ?? [];
  const known = options.map(({ long }) => long);
  const own = [...drillUsage().matchAll(/--[a-z][a-z-]+/g)].map(([flag]) => flag);
  assert.ok(own.includes('--floor-runs'));
  assert.deepEqual(
    [...new Set(own)].filter((flag) => !known.includes(flag)),
    [],
  );
  const text = options.find(({ long }) => long === '--faults')?.description ?? '';
  for (const name of faultNames) assert.match(text, new RegExp(`\\b${name}\\b`), name);
});

test('no command at all, --help and help show the same and succeed', async () => {
  const [bare, flag, word] = await Promise.all([cli([]), cli(['--help']), cli(['help'])]);
  assert.equal(bare.code, 0);
  assert.match(bare.stdout, /Usage: understudy <command>/);
  assert.equal(flag.stdout, bare.stdout);
  assert.equal(word.stdout, bare.stdout);
});

const wrong: readonly (readonly [args: string, cause: RegExp, next: RegExp])[] = [
  ['stauts', /Unknown command 'stauts'/, /Did you mean "status"\?/],
  ['status --wach', /Unknown option '--wach'/, /Did you mean "--watch"\?/],
  ['config', /needs a subcommand/, /--help/],
  ['config shwo', /Unknown command 'shwo'/, /Did you mean "show"\?/],
  ['help nothing', /There is no command "nothing"/, /--help/],
  ['failover', /Required option '--to <member>'/, /--help/],
  ['failover --to n2 --yes-lose-data', /an answer to --force/, /Add --force/],
  ['up --nodes 99', /'99' is invalid.*whole number from 1 to 9/, /--help/],
  ['up --store redis', /'redis' is invalid/, /--help/],
  ['switchover --at tomorrow', /'tomorrow' is invalid.*Write 2027/, /--help/],
  ['status extra', /Too many arguments/, /--help/],
  ['reinit', /Missing required argument 'member'/, /--help/],
  ['status --api ftp://x', /"ftp:\/\/x" \(from --api\) is not the address of an agent/, /Write it like/],
  ['status --api http://u:p@x:1', /is not the address of an agent/, /without path, user or password/],
  ['status --cert a.pem', /--cert and --key go together/, /Name both/],
  ['completion tcsh', /no completion for "tcsh"/, /bash, zsh, fish/],
  ['servers get postgres-1', /Nothing called "postgres-1"/, /Known: postgres-/],
  ['config check /does/not/exist.yaml', /cannot be read/, /Correct the path/],
  ['agent --config /does/not/exist.yaml', /cannot be read \(ENOENT\)/, /Correct the path/],
];

for (const [args, cause, next] of wrong) {
  test(`wrong usage ends with 2, one cause, one next step: ${args}`, async () => {
    // A folder of its own, so that no cluster of this machine is found by chance.
    const ran = await cli(args.split(' '), { cwd: folder });
    assert.equal(ran.code, 2, ran.stderr);
    assert.equal(ran.stdout, '');
    const [first = '', second = '', ...rest] = ran.stderr.trimEnd().split('\n');
    assert.match(first, /^error: /);
    assert.match(first, cause);
    assert.match(second, /^next: /);
    assert.match(second, next);
    assert.deepEqual(rest, []);
    assert.doesNotMatch(ran.stderr, /\bat .*\.ts:/);
  });
}

test('errors as JSON, on standard error, with the same exit code', async () => {
  const ran = await cli(['status', '--json', '--api', '127.0.0.1:1']);
  assert.equal(ran.code, 4);
  assert.equal(ran.stdout, '');
  const { error } = JSON.parse(ran.stderr);
  assert.equal(error.code, 'UNREACHABLE');
  assert.equal(error.exitCode, 4);
  assert.match(error.message, /connection refused/);
  assert.match(error.next, /agent/);
});

test('a stack is shown only with --debug', async () => {
  const [plain, debug] = await Promise.all([
    cli(['status', '--api', '127.0.0.1:1']),
    cli(['status', '--api', '127.0.0.1:1', '--debug']),
  ]);
  assert.doesNotMatch(plain.stderr, / {4}at /);
  assert.match(debug.stderr, / {4}at /);
});

test('no cluster here: said so, with what to do', async () => {
  const ran = await cli(['status', '--data-dir', join(folder, 'none')]);
  assert.equal(ran.code, 4);
  assert.match(ran.stderr, /There is no cluster in .*none/);
  assert.match(ran.stderr, /understudy up/);
});

test('a wrong node file: each mistake with its line and its fix, nothing started', async () => {
  const file = join(folder, 'n1.yaml');
  await writeFile(
    file,
    'cluster: shop\nmembre: n1\nstore: { kind: local, path: s.db }\nengine:\n  kind: postgres\n  dataDir: d\n  listen: 1.2.3.4:99999\nsecretsFile: s\nrunDir: r\n',
  );
  for (const args of [
    ['agent', '--config', file, '--check'],
    ['agent', '--config', file],
    ['config', 'check', file],
    ['status', '--config', file],
  ]) {
    const ran = await cli(args);
    assert.equal(ran.code, 2, args.join(' '));
    assert.match(ran.stderr, /n1\.yaml:2: membre: is not a setting\. Did you mean "member"\?/);
    assert.match(ran.stderr, /n1\.yaml:7: engine\.listen: must be "host:port"/);
  }
});

test('a right cluster file is said to be right, a wrong one is explained line by line', async () => {
  const file = join(folder, 'cluster.yaml');
  await writeFile(file, 'durability: sync\nrequiredAcks: 2\nparameters:\n  work_mem: 64MB\n');
  const right = await cli(['config', 'check', file]);
  assert.equal(right.code, 0, right.stderr);
  assert.match(right.stdout, /is right: the configuration of a cluster/);
  await writeFile(file, 'durability: sync\nrequiredAks: 2\n\nleaseTtlMs: 5\n');
  const bad = await cli(['config', 'check', file]);
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /cluster\.yaml:2: requiredAks: is not a setting\. Did you mean "requiredAcks"\?/);
  assert.match(bad.stderr, /cluster\.yaml:4: leaseTtlMs: /);
  await writeFile(file, 'durability: [\n');
  assert.match((await cli(['config', 'check', file])).stderr, /cluster\.yaml:\d+: is not YAML/);
});

test('version, plain and as JSON', async () => {
  const [plain, json, flag] = await Promise.all([cli(['version']), cli(['version', '--json']), cli(['--version'])]);
  assert.match(plain.stdout, /^understudy \d+\.\d+\.\d+ \(Node 24\./);
  assert.match(JSON.parse(json.stdout).understudy, /^\d+\.\d+\.\d+/);
  assert.match(flag.stdout, /^\d+\.\d+\.\d+\n$/);
});

test('completion scripts name every command, and bash can read its own', async () => {
  const [bash, zsh, fish] = await Promise.all(['bash', 'zsh', 'fish'].map((shell) => cli(['completion', shell])));
  for (const script of [bash, zsh, fish]) {
    assert.equal(script?.code, 0);
    for (const word of ['switchover', 'failover', 'show', '--yes-lose-data']) {
      assert.ok(script?.stdout.includes(word.replace('--', script === fish ? '' : '--')), word);
    }
  }
  const { spawnSync } = await import('node:child_process');
  const ask = 'COMP_WORDS=(understudy config s); COMP_CWORD=2; _understudy; declare -p COMPREPLY';
  const result = spawnSync('bash', ['-c', `${bash?.stdout}\n${ask}`], { encoding: 'utf8', timeout: 10_000 });
  assert.match(result.stdout, /="show" .*="set"/, result.stderr);
});

test('errors are coloured on a terminal and plain in a pipe', async () => {
  const red = '\u001b[31merror: ';
  assert.ok((await cliOnTerminal(['stauts'])).stdout.includes(red));
  assert.ok(!(await cliOnTerminal(['stauts', '--no-color'])).stdout.includes('\u001b[3'));
  assert.ok(!(await cliOnTerminal(['stauts'], { env: { NO_COLOR: '1' } })).stdout.includes('\u001b[3'));
  assert.ok(!(await cli(['stauts'])).stderr.includes('\u001b'));
});

test('questions are not asked where nobody can answer', async () => {
  const ran = await cli(['destroy', '--data-dir', join(folder, 'none')]);
  assert.equal(ran.code, 4);
});
