// Goal: every command that talks to a cluster does and says what it should. Method: one real cluster for the whole file, driven only
// by the real command; the order of the tests is that of a day with it, the last ones break it.
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type HistoryView, type StatusView, statusViewSchema } from '@understudy/agent/client';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import { parse, stringify } from 'yaml';
import { exchange } from '../src/client/http.ts';
import { ownCommand } from '../src/invocation.ts';
import { cli, cliOnTerminal, type Ran, startOnTerminal } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';

let cluster: LocalCluster | null = null;
let folder = '';
let remove: () => Promise<void> = async () => undefined;

before(async () => {
  const scratch = await scratchFolder();
  remove = scratch.remove;
  folder = join(scratch.folder, 'cluster');
  cluster = await createLocalCluster({ folder, version: '17', nodes: 3, command: ownCommand });
  await cluster.start();
});

after(async () => {
  await cluster?.kill();
  await cluster?.stop();
  await remove();
});

const here = (...args: readonly string[]): Promise<Ran> => cli([...args, '--data-dir', folder]);

async function ok(...args: readonly string[]): Promise<string> {
  const ran = await here(...args);
  assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}

async function look(): Promise<StatusView> {
  return statusViewSchema.parse(JSON.parse(await ok('status', '--json')));
}

/** Waits until every member is there again. */
async function whole(): Promise<StatusView> {
  await eventually('a whole cluster', async () => ((await here('status', '--check')).code === 0 ? true : null), 60_000);
  return look();
}

/** What the agents wrote, in the order of time, short enough for a failure's text. */
async function agentLogs(): Promise<string> {
  const logs = (cluster?.nodes ?? []).map(({ name }) => readFile(join(folder, 'logs', `${name}.log`), 'utf8'));
  const lines = (await Promise.all(logs)).flatMap((text) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
  const short = lines.map(
    ({ time, member, code, msg }) => `${time} ${member} ${code ?? ''} ${String(msg).slice(0, 100)}`,
  );
  return short.toSorted().join('\n');
}

/** What an agent answers to a GET. */
async function asked(url: string): Promise<string> {
  const ca = await readFile(cluster?.caFile ?? '', 'utf8');
  return (await exchange({ method: 'GET', url, timeoutMs: 10_000, tls: { ca } })).text;
}

const others = (view: StatusView): string[] => view.members.map(({ id }) => id).filter((id) => id !== view.leader);

test('status: plain in a pipe, coloured on a terminal, whole', async () => {
  const text = await ok('status');
  // Another epoch than the first has a cause, which only the agents' logs tell.
  const { epoch } = await look();
  assert.equal(epoch, 1, await agentLogs());
  assert.match(text, /^default: postgres 17\.\S+ · epoch 1 · n\d leads for /);
  assert.match(text, /^RPO +zero \(proven\)/m);
  assert.match(text, /^● n\d +leader +primary/m);
  assert.equal((text.match(/sync-standby +streaming/g) ?? []).length, 2);
  assert.ok(!text.includes('\u001b'));
  const onTerminal = await cliOnTerminal(['status', '--data-dir', folder], { columns: 70 });
  assert.ok(onTerminal.stdout.includes('\u001b[32m'));
  assert.equal((await here('status', '--check')).code, 0);
});

test('no process of a cluster leaves its memory in a core file', { skip: process.platform !== 'linux' }, async () => {
  for (const { pid } of cluster?.node('n1').processes() ?? []) {
    const filter = await readFile(`/proc/${pid}/coredump_filter`, 'utf8').catch(() => '0');
    assert.equal(Number.parseInt(filter, 16), 0, `${pid}`);
  }
});

test('status by address and by a node file, and by environment', async () => {
  const view = await look();
  const url = view.members[1]?.apiUrl ?? '';
  const ca = cluster?.caFile ?? '';
  for (const [args, env] of [
    [['--api', url, '--ca', ca], {}],
    [['--config', join(folder, 'n2', 'node.yaml')], {}],
    [[], { UNDERSTUDY_API: `http://127.0.0.1:1,${url}`, UNDERSTUDY_CA: ca }],
  ] as const) {
    const ran = await cli(['status', '--json', ...args], { env });
    assert.equal(ran.code, 0, ran.stderr);
    assert.equal(JSON.parse(ran.stdout).systemId, view.systemId);
  }
});

test('status --watch redraws on a terminal and gives it back at Ctrl-C', async () => {
  const { output, type, ended } = startOnTerminal(['status', '--watch', '--data-dir', folder]);
  const pictures = (): number => output().split('Ctrl-C ends this view').length - 1;
  await eventually('drawn and drawn again', () => (pictures() >= 2 ? true : null), 20_000);
  type('\u0003');
  assert.equal(await ended, 0, output().slice(-2000));
  assert.ok(output().includes('\u001b[?1049h'), 'takes the screen');
  assert.ok(output().lastIndexOf('\u001b[?1049l') > output().lastIndexOf('\u001b[?1049h'), 'gives it back');
});

test('url: all nodes, which of them is wanted, and the password only when asked for', async () => {
  const plain = (await ok('url')).trim();
  assert.match(
    plain,
    /^postgresql:\/\/postgres@(127\.0\.0\.1:\d+,){2}127\.0\.0\.1:\d+\/postgres\?target_session_attrs=read-write&sslmode=verify-full&sslrootcert=\S+ca\.pem$/,
  );
  const { superuser } = JSON.parse(await readFile(join(folder, 'secrets.json'), 'utf8'));
  assert.ok((await ok('url', '--with-password')).includes(encodeURIComponent(superuser)));
  assert.match(await ok('url', '--read-only'), /target_session_attrs=prefer-standby/);
});

test('config: show, set with the difference, dry run, back to the default', async () => {
  assert.match(await ok('config', 'show'), /^requiredAcks: 1$/m);
  assert.equal(await ok('config', 'set', 'requiredAcks=2', '--dry-run'), '- requiredAcks: 1\n+ requiredAcks: 2\n');
  assert.match(await ok('config', 'set', 'switchoverTimeoutMs=9000', 'parameters.work_mem=8MB'), /\+ {3}work_mem: 8MB/);
  const { config } = JSON.parse(await ok('config', 'set', 'parameters.work_mem=default', '--json'));
  assert.deepEqual(config.parameters, {});
  assert.equal(config.switchoverTimeoutMs, 9000);
  assert.equal(JSON.parse(await ok('config', 'show', '--json')).switchoverTimeoutMs, 9000);
  assert.equal((await ok('config', 'set', 'switchoverTimeoutMs=9000')).trim(), 'Nothing to change.');
});

const badSettings: readonly (readonly [string, RegExp, number?])[] = [
  ['parameters.wrok_mem=64MB', /wrok_mem is not known to this version of PostgreSQL; .*Did you mean "work_mem"\?/, 3],
  ['parameters.full_page_writes=off', /full_page_writes is set by Understudy itself/, 3],
  ['parameters.work_mem=null', /work_mem.*found null.*write NAME=default/],
  ['requiredAks=2', /requiredAks: is not a setting\. Did you mean "requiredAcks"\?/],
  ['requiredAcks=many', /requiredAcks: .*\(found "many"\)/],
  ['maximum_lag_on_failover=1', /maximum_lag_on_failover: is not a setting\. Here it is maxLagOnFailoverBytes/],
  ['synchronousCommit=local', /"local" acknowledges without any replica/],
  ['nonsense', /"nonsense" is not NAME=VALUE/],
];
for (const [setting, cause, code = 2] of badSettings) {
  test(`config set refuses ${setting}, with the fix, and changes nothing`, async () => {
    const before = await ok('config', 'show');
    const ran = await here('config', 'set', setting);
    assert.equal(ran.code, code);
    assert.match(ran.stderr, cause);
    assert.equal(await ok('config', 'show'), before);
  });
}

test('config edit: the editor decides; a wrong file and a change by somebody else are refused', async () => {
  const edit = (editor: string) => cli(['config', 'edit', '--yes', '--data-dir', folder], { env: { EDITOR: editor } });
  const good = await edit("sed -i 's/^ackerGoneMs: .*/ackerGoneMs: 1600/'");
  assert.equal(good.code, 0, good.stderr);
  assert.equal(good.stdout, '- ackerGoneMs: 1500\n+ ackerGoneMs: 1600\n');
  const bad = await edit("sed -i 's/^ackerGoneMs: .*/ackerGoneMs: -3/'");
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /cluster\.yaml:\d+: ackerGoneMs: .*found -3/);
  const script = join(folder, '..', 'slow-editor.sh');
  const command = `'${ownCommand.join("' '")}' config set ackerGoneMs=1700 --data-dir '${folder}' >/dev/null 2>&1`;
  await writeFile(script, `#!/bin/sh\n${command}\nsed -i 's/^ackerGoneMs: .*/ackerGoneMs: 1800/' "$1"\n`);
  await chmod(script, 0o755);
  const overtaken = await edit(script);
  assert.equal(overtaken.code, 3);
  assert.match(overtaken.stderr, /Somebody else has changed the configuration/);
  assert.match(await ok('config', 'show'), /^ackerGoneMs: 1700$/m);
  await ok('config', 'set', 'ackerGoneMs=default');
});

test('changes need the token; looking does not', async () => {
  const url = (await look()).members[0]?.apiUrl ?? '';
  const there = ['--api', url, '--ca', cluster?.caFile ?? ''];
  const without = await cli(['pause', ...there]);
  assert.equal(without.code, 3);
  assert.match(without.stderr, /token/);
  const wrongToken = join(folder, '..', 'token');
  await writeFile(wrongToken, 'x'.repeat(40), { mode: 0o600 });
  assert.equal((await cli(['pause', ...there, '--token-file', wrongToken])).code, 3);
  await chmod(wrongToken, 0o644);
  const exposed = await cli(['pause', ...there, '--token-file', wrongToken]);
  assert.equal(exposed.code, 2);
  assert.match(exposed.stderr, /chmod 0600/);
  assert.equal((await look()).paused, false);
});

test('pause and resume', async () => {
  assert.match(await ok('pause'), /^Paused/);
  await eventually('paused', async () => ((await look()).paused ? true : null));
  assert.match(await ok('status'), /paused: no failover/);
  assert.match(await ok('resume'), /^Resumed/);
  await eventually('resumed', async () => ((await look()).paused ? null : true));
});

test('explain: every decision with its reason, who would be next and why not the others', async () => {
  // The end of an idle log still moves now and then, and one replica hears it before the other.
  const text = await eventually('both hold the same', async () => {
    const said = await ok('explain');
    return /not first: /.test(said) ? said : null;
  });
  assert.match(text, /reason +leading: /);
  assert.equal((text.match(/reason +following: /g) ?? []).length, 2);
  const [first = '', second = ''] = others(await look());
  assert.match(text, new RegExp(`failover +possible: 2 of \\(${first}, ${second}\\) have to seal`));
  assert.match(text, new RegExp(`${first} +next: `));
  assert.match(text, new RegExp(`${second} +not first: `));
  assert.match(await ok('explain', 'n3'), /^n3 {2}/);
  const unknown = await here('explain', 'n9');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /Its members: n1, n2, n3/);
  assert.equal(JSON.parse(await ok('explain', '--json')).members.length, 3);
});

test('switchover: to a named member, refused with the reason where it cannot be', async () => {
  const [to = '', other = ''] = others(await whole());
  assert.match(await ok('switchover', '--to', to), new RegExp(`^done {2}${to} leads`));
  const view = await whole();
  assert.equal(view.leader, to);
  const nowhere = await here('switchover', '--to', 'n9');
  assert.equal(nowhere.code, 3);
  assert.match(nowhere.stderr, /"n9" is not a member of this cluster\.\nnext: {2}Members are: n1, n2, n3/);
  const same = await here('switchover', '--to', to);
  assert.equal(same.code, 3);
  assert.match(same.stderr, new RegExp(`${to} leads already`));
  const notFrom = await here('switchover', '--from', other);
  assert.equal(notFrom.code, 3);
  assert.match(notFrom.stderr, new RegExp(`${other} does not lead any more`));
});

test('switchover at a time: scheduled, shown, called off', async () => {
  const [to = ''] = others(await whole());
  assert.match(await ok('switchover', '--to', to, '--at', '+1h'), new RegExp(`^Scheduled: .* to ${to}, not before `));
  await eventually('shown', async () => (/asked for: switchover to/.test(await ok('status')) ? true : null));
  const second = await here('switchover');
  assert.equal(second.code, 3);
  assert.match(second.stderr, /Another request is under way/);
  assert.match(await ok('switchover', '--cancel'), /^Called off/);
  await eventually('gone', async () => ((await look()).request === null ? true : null));
  assert.equal((await here('switchover', '--cancel')).code, 3);
});

test('sql: on the primary, on a member, several statements, mistakes, standard input', async () => {
  const view = await whole();
  const [replica = ''] = others(view);
  assert.match(
    await ok('sql', "select 1 as one, null as nothing, 'é' as text"),
    /^one {2}nothing {2}text\n1 {4}∅ {8}é\n$/,
  );
  assert.match(await ok('sql', '--on', replica, 'select pg_is_in_recovery() as standby'), /true/);
  const several = await ok(
    'sql',
    'create table s (n int); insert into s values (1), (2); select sum(n)::int as total from s; drop table s',
  );
  assert.match(several, /^CREATE\nINSERT 2\ntotal\n3\nDROP\n$/);
  const piped = await cli(['sql', '--json', '--data-dir', folder], { input: 'select 2 as two' });
  assert.deepEqual(JSON.parse(piped.stdout)[0].rows, [{ two: 2 }]);
  for (const [args, cause, code] of [
    [['selekt'], /syntax error/, 1],
    [['--on', replica, 'create table s (n int)'], /read-only/, 1],
    [['--on', 'n9', 'select 1'], /no member "n9"/, 2],
    [[' '], /no statement/, 2],
  ] as const) {
    const ran = await here('sql', ...args);
    assert.equal(ran.code, code, args.join(' '));
    assert.match(ran.stderr, cause);
  }
});

test('what a role, a table and a value of somebody else say cannot steer the terminal', async () => {
  const evil = '\u001b]0;pwned\u0007\u009b2J\u202e\r';
  const name = `"r${evil}"`;
  const table = `create table "t${evil}" ("c${evil}" text); insert into "t${evil}" values (E'a\\nb${evil}')`;
  await ok('sql', `create role ${name}; alter role ${name} set synchronous_commit = local; ${table}`);
  // A role that need not wait is a warning, with its name.
  const raw = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;
  await eventually('the warning', async () => ((await ok('status')).includes('pwned') ? true : null), 60_000);
  const commands: readonly (readonly string[])[] = [
    ['status'],
    ['status', '--json'],
    ['explain'],
    ['sql', `select * from "t${evil}"`],
    ['sql', '--json', `select * from "t${evil}"`],
    ['sql', `select "no${evil}" from "t${evil}"`],
    ['sql', '--user', `r${evil}`, 'select 1'],
  ];
  for (const args of commands) {
    const { stdout, stderr } = await here(...args);
    assert.doesNotMatch(stdout, raw, args.join(' '));
    assert.doesNotMatch(stderr, raw, args.join(' '));
  }
  assert.match(
    await ok('sql', `select * from "t${evil}"`),
    /^c\\x1b.*\na\\nb\\x1b\]0;pwned\\x07\\u009b2J\\u202e\\x0d\n$/,
  );
  const [{ rows }] = JSON.parse(await ok('sql', '--json', `select * from "t${evil}"`));
  assert.deepEqual(rows, [{ [`c${evil}`]: `a\nb${evil}` }]);
  await ok('sql', `drop table "t${evil}"; drop role ${name}`);
});

test('probe: writes through the death of the primary, and finds nothing missing', async () => {
  const leader = (await whole()).leader ?? '';
  const probing = here('probe', '--for', '8s', '--json');
  await eventually('rows are written', async () => {
    const ran = await here('sql', 'select count(*)::int as n from understudy_probe');
    return ran.code === 0 && Number(ran.stdout.split('\n')[1]) > 20 ? true : null;
  });
  const server = cluster?.node(leader).server();
  assert.ok(server);
  process.kill(server.pid, 'SIGKILL');
  const ran = await probing;
  assert.equal(ran.code, 0, ran.stderr);
  const summary = JSON.parse(ran.stdout);
  assert.equal(summary.lost, 0);
  assert.ok(summary.acknowledged > 50);
  assert.ok(summary.interruptions.length > 0);
  assert.match(
    (await here('sql', 'select count(*) from understudy_probe')).stderr,
    /does not exist/,
    'its table is gone',
  );
  await whole();
});

test('history: every leadership, oldest first', async () => {
  const entries: HistoryView = JSON.parse(await ok('history', '--json'));
  assert.deepEqual(
    entries.map(({ epoch }) => epoch),
    entries.map((_, index) => index + 1),
  );
  assert.match(await ok('history'), /n\d .*planned switchover \(switchover\)/);
  assert.equal((await ok('history', '--last', '1')).trim().split('\n').length, 2);
});

test('restart and reinit of a replica; both are refused for the leader', async () => {
  const view = await whole();
  const [first = '', second = ''] = others(view);
  assert.match(await ok('restart', first), /^done {2}n\d has restarted, and streams and acknowledges again/);
  const after = await look();
  assert.ok(after.rule?.members.includes(first));
  assert.match(await ok('reinit', second), /^done {2}n\d has a new copy and streams again/);
  assert.equal((await look()).members.find(({ id }) => id === second)?.receiver?.kind, 'streaming');
  await whole();
  for (const command of ['restart', 'reinit']) {
    const ran = await here(command, view.leader ?? '');
    assert.equal(ran.code, 3, command);
    assert.match(ran.stderr, /is the leader/);
  }
});

test('the last replica that acknowledges is not restarted, unless that is forced', async () => {
  const view = await whole();
  const [lost = '', last = ''] = others(view);
  await cluster?.node(lost).killHost();
  await eventually('the leader to see it gone', async () => {
    const { members } = await look();
    return members.find(({ id }) => id === lost)?.agent.kind === 'refusing' ? true : null;
  });
  const refused = await here('restart', last);
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(
    refused.stderr,
    new RegExp(`Without ${last} 0 of .* would acknowledge, and 1 must: all writes would wait`),
  );
  assert.match(await ok('restart', last, '--force'), /^done/);
  cluster?.node(lost).start();
  await whole();
});

test('a parameter that needs a restart is said everywhere, and one command restarts the cluster in turn', async () => {
  const before = await whole();
  const set = await here('config', 'set', 'parameters.max_connections=130');
  assert.equal(set.code, 0, set.stderr);
  assert.match(set.stderr, /In force after a restart of n1 \(max_connections\), n2 \(max_connections\), n3/);
  assert.match(
    await ok('status'),
    /restart needed: n1 \(max_connections\); n2 .*understudy restart --pending --rolling/s,
  );
  const check = await here('status', '--check');
  assert.deepEqual([check.code, /a restart is needed on n1 \(max_connections\)/.test(check.stderr)], [1, true]);
  assert.match(await ok('explain'), /restart {4}needed for max_connections/);
  const patroni: { members: { pending_restart?: boolean }[] } = JSON.parse(
    await asked(`${cluster?.node('n1').address.apiUrl}/cluster`),
  );
  assert.ok(patroni.members.every((member) => member.pending_restart === true));
  const rolling = await here('restart', '--pending', '--rolling');
  assert.equal(rolling.code, 0, rolling.stderr);
  const after = await whole();
  assert.notEqual(after.leader, before.leader);
  for (const { id } of after.members) assert.match(await ok('sql', '--on', id, 'show max_connections'), /\b130\b/);
  assert.match(await ok('restart', '--pending', '--rolling'), /No member needs a restart/);
});

test('failover without --force: with proof, at once', async () => {
  const view = await whole();
  const [to = ''] = others(view);
  assert.match(await ok('failover', '--to', to), new RegExp(`^done {2}${to} leads`));
  assert.equal((await whole()).leader, to);
});

test('replay: the recorded decisions, decided again the same way', async () => {
  const ran = await cli(['replay', join(folder, 'n1', 'run'), '--last', '5']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /reason {4}\S+: /);
  assert.match(ran.stderr, /0 would be taken otherwise/);
  const none = await cli(['replay', folder]);
  assert.equal(none.code, 2);
});

test('member: list, add and forget, with what is refused', async () => {
  const view = await whole();
  const leader = view.leader ?? '';
  const [gone = '', alive = ''] = others(view);
  assert.match(await ok('member', 'list'), /^MEMBER +ROLE.*\nn1 /m);
  assert.deepEqual(
    JSON.parse(await ok('member', 'list', '--json')).map(({ id }: { id: string }) => id),
    ['n1', 'n2', 'n3'],
  );
  const refusals: readonly (readonly [string, RegExp])[] = [
    [leader, /is the leader/],
    [alive, /agent is alive/],
    ['n9', /not a member .*Members are: n1, n2, n3/s],
  ];
  for (const [member, why] of refusals) {
    const ran = await here('member', 'forget', member, '--yes');
    assert.equal(ran.code, 3, ran.stderr);
    assert.match(ran.stderr, why);
  }
  const like = join(folder, 'n1', 'node.yaml');
  const out = join(folder, '..', 'n4.yaml');
  const place = ['--like', like, '--agent', '127.0.0.1:18008', '--server', '127.0.0.1:15432', '--out', out];
  const made = await cli(['member', 'add', 'n4', ...place]);
  assert.equal(made.code, 0, made.stderr);
  assert.equal(parse(await readFile(out, 'utf8')).member, 'n4');
  const again = await cli(['member', 'add', 'n5', ...place]);
  assert.match(again.stderr, /n4\.yaml: is there already/);
  const taken = await cli(['member', 'add', 'N2', ...place]);
  assert.equal(taken.code, 3);
  assert.match(taken.stderr, /has a member "n2" already/);
  await ok('config', 'set', 'leaseTtlMs=2000');
  await cluster?.node(gone).killHost();
  try {
    await eventually('its session has ended', async () =>
      (await here('member', 'forget', gone, '--yes')).code === 0 ? true : null,
    );
    assert.doesNotMatch(await ok('member', 'list'), new RegExp(`^${gone} `, 'm'));
    // The leader takes it out of the rule with one of its next decisions.
    await whole();
    const { members } = await look();
    assert.deepEqual(members.filter(({ id }) => id === gone).length, 0, await ok('status'));
  } finally {
    cluster?.node(gone).start();
  }
  await ok('config', 'set', 'leaseTtlMs=default');
  await whole();
});

test('agent --check: everything an agent would find out, without starting one', async () => {
  const file = join(folder, 'n1', 'node.yaml');
  const good = await cli(['agent', '--config', file, '--check']);
  assert.equal(good.code, 0, good.stdout);
  assert.match(good.stdout, /server +PostgreSQL 17/);
  const text = await readFile(file, 'utf8');
  const broken = join(folder, '..', 'broken.yaml');
  await writeFile(
    broken,
    text.replace(/secretsFile: .*/, 'secretsFile: /does/not/exist').replace(/binDir: .*/, 'binDir: /does/not/exist'),
  );
  const bad = await cli(['agent', '--config', broken, '--check', '--json']);
  assert.equal(bad.code, 2);
  const findings: { what: string; kind: string; next: string }[] = JSON.parse(bad.stdout).findings;
  const wrong = findings.filter(({ kind }) => kind === 'bad');
  assert.deepEqual(
    wrong.map(({ what }) => what),
    ['secrets', 'server'],
  );
  for (const { what, next } of wrong) assert.notEqual(next, '', what);
  const node = parse(text);
  Object.assign(node.engine, { dataDir: '/proc/understudy/data', parameters: { max_connection: 5 } });
  await writeFile(broken, stringify(node));
  const fresh = await cli(['agent', '--config', broken, '--check']);
  assert.equal(fresh.code, 2);
  assert.match(fresh.stdout, /engine\.parameters\.max_connection is not known .*Did you mean "max_connections"\?/s);
  // Root may write anywhere as far as `access` knows.
  if (process.getuid?.() !== 0) assert.match(fresh.stdout, /install -d -o \d+ -m 0700 \/proc\/understudy$/m);
});

test('a second agent of the same folder, and one whose port is taken, end with the reason', async () => {
  const file = join(folder, 'n1', 'node.yaml');
  const twice = await cli(['agent', '--config', file]);
  assert.equal(twice.code, 1);
  assert.match(twice.stderr, /is already the agent of/);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const text = (await readFile(file, 'utf8'))
    .replace(/listen: 127\.0\.0\.1:\d+/, `listen: 127.0.0.1:${port}`)
    .replace(/runDir: .*/, `runDir: ${join(folder, '..', 'run')}`)
    .replace('member: n1', 'member: n7');
  const other = join(folder, '..', 'other.yaml');
  await writeFile(other, text);
  try {
    const ran = await cli(['agent', '--config', other]);
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /is taken by another process/);
  } finally {
    await new Promise((resolve) => taken.close(resolve));
  }
});

test('with the leader and another host lost: no failover without proof; forced, it says what would be lost and asks', async () => {
  const view = await whole();
  const [survivor = '', lost = ''] = others(view);
  await Promise.all([cluster?.node(view.leader ?? '').killHost(), cluster?.node(lost).killHost()]);
  await eventually('the loss is seen', async () => {
    const seen = await look();
    return seen.members.filter(({ agent }) => agent.kind === 'refusing').length === 2 ? true : null;
  });
  const unproven = await here('failover', '--to', survivor, '--wait', '2s');
  assert.equal(unproven.code, 1, unproven.stderr);
  assert.match(unproven.stderr, /was not done within 2 s; the request was taken back/);
  assert.equal((await look()).request, null);
  const failed = await here('failover', '--to', survivor, '--timeout', '1s');
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /did not take over; it may be down, behind, or without a quorum of seals/);
  const check = await here('status', '--check');
  assert.equal(check.code, 1);
  assert.match(check.stderr, /The cluster is not healthy/);
  const unasked = await here('failover', '--to', survivor, '--force');
  assert.equal(unasked.code, 1);
  assert.match(unasked.stderr, /may have written more than was seen/);
  assert.match(unasked.stderr, /--yes-lose-data/);
  const wrongName = await cliOnTerminal(['failover', '--to', survivor, '--force', '--data-dir', folder], {
    input: 'yes\n',
  });
  assert.match(wrongName.stdout, /"yes" was typed, not "n\d"; nothing was changed/);
  assert.equal(wrongName.code, 1);

  // Nothing that is pending stands in the way of the last resort.
  const waits = () => here('failover', '--to', lost, '--wait', '0');
  assert.equal((await waits()).code, 0);
  assert.match((await here('failover', '--to', survivor, '--wait', '0')).stderr, /Another request is under way/);
  assert.match(await ok('request', 'cancel'), new RegExp(`Taken back: failover to ${lost}`));
  assert.equal((await here('request', 'cancel')).code, 3);
  assert.equal((await waits()).code, 0);
  const forced = await here('failover', '--to', survivor, '--force', '--yes-lose-data');
  assert.equal(forced.code, 0, forced.stderr);
  assert.equal((await look()).leader, survivor);
  assert.match(await ok('request', 'show'), /Nothing is pending/);
});

test('with all hosts lost: unreachable, with what to do', async () => {
  await cluster?.kill();
  const ran = await here('status');
  assert.equal(ran.code, 4);
  assert.match(ran.stderr, /does not run: no agent answers/);
  assert.match(ran.stderr, /understudy up/);
});
