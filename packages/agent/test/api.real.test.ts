/** The HTTP API of a running agent with a real server: what load balancers, tools and people with bad input get. */

import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import {
  apiErrorSchema,
  changesViewSchema,
  explainViewSchema,
  historyViewSchema,
  parseStreamMessage,
  requestStateSchema,
  statusViewSchema,
} from '../src/index.ts';
import { SseParser } from '../src/peers/sse.ts';
import { eventually } from './support/eventually.ts';
import { TestCluster, type TestNode, TOKEN } from './support/nodes.ts';

describe('HTTP API', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  let node: TestNode;

  before(async () => {
    cluster = await TestCluster.make(['n1', 'n2']);
    node = cluster.node('n1');
    cluster.start(node);
    await cluster.ready(node, 0);
    await eventually('registered', async () =>
      (await cluster.status(node)).members[0]?.apiUrl === null ? null : true,
    );
    // The store says that the leader is open a moment before its agent has looked at the server again.
    await eventually('serves as primary', async () => ((await call('GET', '/primary')).status === 200 ? true : null));
  });
  after(() => cluster.destroy());

  async function call(method: string, path: string, body?: string, headers: Record<string, string> = {}) {
    const response = await fetch(`${node.apiUrl}${path}`, {
      method,
      ...(body === undefined ? { headers } : { body, headers: { 'content-type': 'application/json', ...headers } }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, text, json: isJson ? JSON.parse(text) : null };
  }
  /** As no program of Node's own sends it. */
  async function raw(method: string, path: string, headers: Record<string, string>, body: string) {
    return new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
      const sent = request(`${node.apiUrl}${path}`, { method, headers, agent: false, timeout: 5_000 }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
  const change = (method: string, path: string, body?: unknown) =>
    call(method, path, body === undefined ? undefined : JSON.stringify(body), { authorization: `Bearer ${TOKEN}` });

  it('answers health checks as Patroni does, also to HEAD and OPTIONS', async () => {
    const expected: readonly (readonly [string, number])[] = [
      ['/', 200],
      ['/primary', 200],
      ['/read-write', 200],
      ['/leader', 200],
      ['/read-only', 200],
      ['/health', 200],
      ['/liveness', 200],
      ['/readiness', 200],
      ['/replica', 503],
      ['/replica?lag=1MB', 503],
      ['/sync', 503],
      ['/async', 503],
      ['/standby-leader', 503],
    ];
    for (const [path, status] of expected) {
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        assert.equal((await call(method, path)).status, status, `${method} ${path}`);
      }
    }
  });

  it('answers a load balancer that sends HTTP/1.1 without Host, and HTTP/1.0', async () => {
    const { connect } = await import('node:net');
    for (const head of [
      'OPTIONS /primary HTTP/1.0\r\n\r\n',
      'OPTIONS /primary HTTP/1.1\r\nConnection: close\r\n\r\n',
    ]) {
      const answer = await new Promise<string>((resolve, reject) => {
        let text = '';
        const socket = connect(Number(new URL(node.apiUrl).port), '127.0.0.1', () => socket.write(head));
        socket.on('data', (data) => {
          text += String(data);
        });
        socket.on('end', () => resolve(text));
        socket.on('error', reject);
      });
      assert.match(answer, /^HTTP\/1\.1 200/);
    }
  });

  it("describes itself and the cluster in Patroni's words", async () => {
    const { json: status } = await call('GET', '/patroni');
    assert.equal(status.state, 'running');
    assert.equal(status.role, 'primary');
    assert.equal(status.patroni.name, 'n1');
    assert.ok(status.server_version >= 150_000 && status.xlog.location > 0 && status.timeline >= 1);
    const { json: seen } = await call('GET', '/cluster');
    assert.deepEqual(
      seen.members.map(({ name, role, state }: Record<string, unknown>) => [name, role, state]),
      [['n1', 'leader', 'running']],
    );
    assert.equal(seen.scope, 'test');
    assert.ok(Array.isArray((await call('GET', '/history')).json));
    assert.match((await call('GET', '/metrics')).text, /^patroni_primary\{scope="test",name="n1"\} 1$/m);
  });

  it('answers its own questions in the documented shapes', async () => {
    statusViewSchema.parse((await call('GET', '/understudy/status')).json);
    explainViewSchema.parse((await call('GET', '/understudy/explain')).json);
    historyViewSchema.parse((await call('GET', '/understudy/history')).json);
    const { json: document } = await call('GET', '/openapi.json');
    assert.equal(document.openapi, '3.1.0');
    for (const path of ['/primary', '/switchover', '/understudy/requests/{id}', '/events'])
      assert.ok(document.paths[path], path);
  });

  it('streams reports and beats', async () => {
    const seen: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const stream = request(`${node.apiUrl}/events`, (response) => {
        const parser = new SseParser((event, data) => {
          seen.push(parseStreamMessage(event, data)?.kind ?? 'unknown');
          // Every change is a report; the first beat comes when nothing has changed for a tick.
          if (seen.includes('beat') || seen.length >= 50) {
            stream.destroy();
            resolve();
          }
        });
        response.setEncoding('utf8');
        response.on('data', (text: string) => parser.push(text));
        response.on('error', () => undefined);
      });
      stream.on('error', reject);
      stream.end();
    });
    assert.deepEqual([seen[0], seen.at(-1)], ['report', 'beat']);
    assert.ok(
      seen.slice(0, -1).every((kind) => kind === 'report'),
      seen.join(', '),
    );
  });

  const refused: readonly (readonly [string, string, string | undefined, string | null, number, string])[] = [
    ['POST', '/switchover', '{}', null, 401, 'TOKEN_MISSING'],
    ['POST', '/switchover', '{}', 'wrong-token-of-the-right-length', 403, 'TOKEN_WRONG'],
    ['PATCH', '/config', '{}', null, 401, 'TOKEN_MISSING'],
    ['POST', '/understudy/pause', undefined, null, 401, 'TOKEN_MISSING'],
    ['POST', '/switchover', 'not json', TOKEN, 400, 'BODY_NOT_JSON'],
    ['POST', '/switchover', '{"candidat":"n2"}', TOKEN, 400, 'BODY_INVALID'],
    ['POST', '/switchover', '{"to":"nobody"}', TOKEN, 412, 'NO_SUCH_MEMBER'],
    ['POST', '/switchover', `{"to":"${'x'.repeat(300_000)}"}`, TOKEN, 413, 'BODY_TOO_LARGE'],
    ['POST', '/switchover', '{}', TOKEN, 412, 'REQUEST_REFUSED'],
    ['POST', '/failover', '{}', TOKEN, 400, 'BODY_INVALID'],
    ['POST', '/reinitialize', '{}', TOKEN, 412, 'REQUEST_REFUSED'],
    ['DELETE', '/switchover', undefined, TOKEN, 404, 'NOTHING_SCHEDULED'],
    ['PATCH', '/config', '{"ttl":30}', TOKEN, 422, 'CONFIG_INVALID'],
    ['PATCH', '/config', '{"suspectAfterMs":1}', TOKEN, 422, 'CONFIG_INVALID'],
    ['PATCH', '/config', '{"parameters":{"wrok_mem":"1MB"}}', TOKEN, 412, 'PARAMETERS_REFUSED'],
    ['PATCH', '/config', '{"parameters":{"work_mem":"much"}}', TOKEN, 412, 'PARAMETERS_REFUSED'],
    ['PATCH', '/config', '{"parameters":{"Synchronous_Commit":"off"}}', TOKEN, 412, 'PARAMETERS_REFUSED'],
    ['PUT', '/config', '{"parameters":{"port":"1"}}', TOKEN, 412, 'PARAMETERS_REFUSED'],
    ['DELETE', '/understudy/members/n1', undefined, TOKEN, 412, 'MEMBER_LEADS'],
    ['DELETE', '/understudy/members/n9', undefined, TOKEN, 404, 'NO_SUCH_MEMBER'],
    ['GET', '/understudy/requests/nothing', undefined, null, 404, 'NO_SUCH_REQUEST'],
    ['GET', '/nothing', undefined, null, 404, 'NO_SUCH_PATH'],
  ];
  for (const [method, path, body, token, status, code] of refused) {
    it(`refuses ${method} ${path} ${(body ?? '').slice(0, 30)}: ${code}`, async () => {
      const answer = await call(method, path, body, token === null ? {} : { authorization: `Bearer ${token}` });
      const error = apiErrorSchema.parse(answer.json);
      assert.deepEqual([answer.status, error.code], [status, code], error.message);
      assert.ok(error.message.length > 10 && error.next.length > 5);
      assert.doesNotMatch(answer.text, new RegExp(TOKEN));
    });
  }

  it('refuses what a web page can send, with the token in hand and whatever it asks for', async () => {
    const own = { authorization: `Bearer ${TOKEN}` };
    const evil = 'https://evil.example';
    const refused: readonly (readonly [string, string, Record<string, string>, number, string])[] = [
      ['POST', '/understudy/pause', { ...own, origin: evil }, 403, 'ORIGIN_REFUSED'],
      ['OPTIONS', '/primary', { origin: evil, 'access-control-request-method': 'POST' }, 403, 'ORIGIN_REFUSED'],
      ['GET', '/understudy/status', { 'sec-fetch-site': 'cross-site' }, 403, 'ORIGIN_REFUSED'],
      ['GET', '/understudy/status', { host: 'rebound.evil.example' }, 403, 'HOST_REFUSED'],
      ['POST', '/switchover', { ...own, 'content-type': 'text/plain' }, 415, 'CONTENT_TYPE_WRONG'],
    ];
    for (const [method, path, headers, status, code] of refused) {
      const answer = await raw(method, path, headers, method === 'POST' ? '{}' : '');
      assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
      if (method !== 'OPTIONS') assert.match(answer.text, new RegExp(code));
    }
    assert.equal((await cluster.status(node)).paused, false);
    const check = await raw('GET', '/primary', { host: 'load-balancer.example' }, '');
    assert.equal(check.status, 200, 'a check by any name is answered');
    const page = await raw('GET', '/health', { host: 'rebound.evil.example' }, '');
    const load = await raw('GET', '/health', {}, '');
    assert.equal(page.status, 200);
    assert.ok(
      load.text.includes('"server_version"') && !page.text.includes('"server_version"'),
      'with the state alone',
    );
  });

  it('records who asked for which change, from where, and how it ended; strangers are not recorded', async () => {
    await change('PATCH', '/config', { parameters: { archive_command: 'scp me:hunter2 %p', wrok_mem: '1' } });
    await call('POST', '/understudy/pause');
    assert.equal((await call('GET', '/understudy/changes')).json.code, 'TOKEN_MISSING');
    const { json } = await call('GET', '/understudy/changes', undefined, { authorization: `Bearer ${TOKEN}` });
    const { member, changes } = changesViewSchema.parse(json);
    assert.equal(member, 'n1');
    assert.ok(changes.every(({ who }) => /^token (token|ops|deploy|grafana)$/.test(who)));
    const last = changes.at(-1);
    assert.deepEqual([last?.what, last?.status], ['PATCH /config', 412]);
    assert.match(last?.from ?? '', /^127\.0\.0\.1 port \d+$/);
    assert.match(last?.body ?? '', /wrok_mem/);
    const file = await readFile(join(node.runDir, 'changes.log'), 'utf8');
    assert.doesNotMatch(file, /hunter2/);
    assert.ok(!file.includes(TOKEN));
  });

  it('takes tokens as they are in their file now, each with its role', async () => {
    const file = join(cluster.folder, 'token');
    const as = (secret: string, method: string, path: string, body?: string) =>
      call(method, path, body, { authorization: `Bearer ${secret}` });
    try {
      await writeFile(file, `admin ops ${TOKEN}\noperate deploy ${'d'.repeat(16)}\nview grafana ${'v'.repeat(16)}\n`);
      assert.deepEqual((await change('POST', '/reload')).json.applied, ['api.tokenFile']);
      assert.equal((await as('d'.repeat(16), 'POST', '/understudy/pause')).status, 200);
      assert.equal((await as('d'.repeat(16), 'POST', '/understudy/resume')).status, 200);
      assert.equal((await as('d'.repeat(16), 'PATCH', '/config', '{"leaseTtlMs":10000}')).json.code, 'ROLE_MISSING');
      assert.equal(
        (await as('d'.repeat(16), 'POST', '/failover', '{"to":"n1","proof":"override"}')).json.code,
        'ROLE_MISSING',
      );
      assert.equal((await as('v'.repeat(16), 'POST', '/understudy/pause')).json.code, 'ROLE_MISSING');
      assert.equal((await as('v'.repeat(16), 'GET', '/config')).status, 200);
      await writeFile(file, 'too short');
      assert.equal((await change('POST', '/reload')).status, 422);
      assert.equal((await as('v'.repeat(16), 'GET', '/config')).status, 200, 'those in force are kept');
    } finally {
      await writeFile(file, TOKEN);
      await change('POST', '/reload');
    }
    assert.equal((await as('d'.repeat(16), 'POST', '/understudy/pause')).json.code, 'TOKEN_WRONG');
  });

  it("reads the node's file again: takes over what it can, names what needs a restart, and refuses mistakes", async () => {
    const text = await readFile(node.configFile, 'utf8');
    const reload = async (edit: (config: Record<string, unknown>) => void) => {
      const config = parse(text);
      edit(config);
      await writeFile(node.configFile, stringify(config));
      return change('POST', '/reload');
    };
    try {
      assert.deepEqual((await reload(() => undefined)).json, { reload: 'nothing-new', applied: [], needsRestart: [] });
      const wrong = await reload((config) => Object.assign(config, { tags: { zone: 'b', nofailver: true } }));
      assert.equal(wrong.status, 422, wrong.text);
      const [found] = apiErrorSchema.parse(wrong.json).problems ?? [];
      assert.equal(found?.key, 'tags.nofailver');
      assert.ok((found.line ?? 0) > 1);
      assert.match(found.fix, /Did you mean "nofailover"/);
      const changed = await reload((config) => {
        Object.assign(config, {
          tags: { zone: 'b' },
          asideBudgetBytes: 1,
          logs: { file: node.logFile, level: 'info' },
        });
      });
      assert.equal(changed.status, 202, changed.text);
      const applied = ['logs.level', 'tags.zone'];
      assert.deepEqual(changed.json, { reload: 'done', applied, needsRestart: ['asideBudgetBytes'] });
      await eventually('told to the others', async () =>
        (await cluster.status(node)).members.find(({ id }) => id === 'n1')?.tags.zone === 'b' ? true : null,
      );
    } finally {
      await writeFile(node.configFile, text);
      await change('POST', '/reload');
    }
  });

  it('changes the configuration, and gives it back', async () => {
    const patched = await change('PATCH', '/config', { switchoverTimeoutMs: 7_000, parameters: { work_mem: '8MB' } });
    assert.equal(patched.status, 200, patched.text);
    assert.equal((await call('GET', '/config')).json.code, 'TOKEN_MISSING', 'parameters may hold secrets');
    const { json } = await call('GET', '/config', undefined, { authorization: `Bearer ${TOKEN}` });
    assert.equal(json.switchoverTimeoutMs, 7_000);
    assert.deepEqual(json.parameters, { work_mem: '8MB' });
    await change('PUT', '/config', {});
    const after = await call('GET', '/config', undefined, { authorization: `Bearer ${TOKEN}` });
    assert.equal(after.json.switchoverTimeoutMs, 10_000);
  });

  it('pauses and resumes, in its own words and in those of Patroni', async () => {
    const isPaused = async () => (await cluster.status(node)).paused;
    await change('POST', '/understudy/pause');
    assert.equal(await isPaused(), true);
    await change('POST', '/understudy/resume');
    assert.equal(await isPaused(), false);
    await change('PATCH', '/config', { pause: true });
    assert.equal(await isPaused(), true);
    await change('PATCH', '/config', { pause: false });
    assert.equal(await isPaused(), false);
  });

  it('keeps a scheduled switchover until it is due, one at a time, and takes it back', async () => {
    const at = new Date(Date.now() + 3_600_000).toISOString();
    const scheduled = await change('POST', '/switchover', { scheduled_at: at });
    assert.equal(scheduled.status, 202, scheduled.text);
    const state = requestStateSchema.parse(scheduled.json);
    assert.equal(state.state, 'pending');
    assert.equal(new Date((await call('GET', '/cluster')).json.scheduled_switchover.at).toISOString(), at);
    assert.equal((await change('POST', '/switchover', {})).json.code, 'REQUEST_PENDING');
    assert.equal((await change('DELETE', '/switchover')).status, 200);
    assert.equal((await cluster.status(node)).request, null);
  });

  it('refuses a second agent of the same member name, wherever it runs, and starts nothing for it', async () => {
    const other = cluster.node('n2');
    const config = parse(await readFile(other.configFile, 'utf8'));
    await writeFile(other.configFile, stringify({ ...config, member: 'n1' }));
    const child = cluster.start(other);
    let text = '';
    child.stderr?.on('data', (data) => {
      text += String(data);
    });
    const code = await eventually('it gave up', () => child.exitCode);
    assert.equal(code, 1);
    assert.match(text, /MEMBER_NAME_TAKEN: .*registered as member "n1".*Give each member its own name/s);
    await assert.rejects(readFile(join(cluster.folder, 'n2', 'data', 'PG_VERSION')), /ENOENT/);
    await writeFile(other.configFile, stringify(config));
    await rm(join(cluster.folder, 'n2', 'run'), { recursive: true, force: true });
  });

  it('refuses a second agent in the same run directory, and one whose port is taken', async () => {
    const second = cluster.start(node);
    assert.equal(await eventually('it gave up', () => second.exitCode), 1);
    const other = cluster.node('n2');
    const config = parse(await readFile(other.configFile, 'utf8'));
    await writeFile(
      other.configFile,
      stringify({ ...config, api: { ...config.api, listen: new URL(node.apiUrl).host } }),
    );
    const child = cluster.start(other);
    let text = '';
    child.stderr?.on('data', (data) => {
      text += String(data);
    });
    assert.equal(await eventually('it gave up', () => child.exitCode), 1);
    assert.match(text, /API_PORT_IN_USE/);
    assert.equal((await cluster.status(node)).phase, 'open', 'the first one goes on');
  });
});
