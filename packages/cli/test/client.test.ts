// Goal: the client asks the right agent, believes the best answer, and shows its token only where it has to. Method: real HTTP servers
// of this process that answer what an agent would.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { StatusView } from '@understudy/agent/client';
import { mayCarryToken } from '../src/client/carry.ts';
import { ClusterClient } from '../src/client/cluster.ts';
import { findTarget, type Target } from '../src/client/target.ts';
import { CliError } from '../src/errors.ts';
import { status } from './support/views.ts';

interface Answer {
  readonly code?: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Agent {
  readonly url: string;
  readonly requests: IncomingMessage[];
}

async function agent(
  t: TestContext,
  answer: (path: string, headers: IncomingMessage['headers']) => Answer | 'silence',
): Promise<Agent> {
  const requests: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(request);
    const given = answer(request.url ?? '', request.headers);
    if (given === 'silence') return;
    response.writeHead(given.code ?? 200, { 'content-type': 'application/json', ...given.headers });
    response.end(typeof given.body === 'string' ? given.body : JSON.stringify(given.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`, requests };
}

const saying = (t: TestContext, view: StatusView): Promise<Agent> => agent(t, () => ({ body: view }));

function target(urls: readonly string[]): Target {
  return {
    urls,
    source: 'test',
    tls: {},
    token: async () => 'secret-token-of-the-cluster',
    folder: null,
    insecure: false,
  };
}

const codeOf = (code: string) => (error: unknown) => error instanceof CliError && error.code === code;

test('of several answers the best counts: a living store first, then the newest epoch; silent agents do not matter', async (t) => {
  const stale = await saying(t, status({ epoch: 9, store: { kind: 'stale', silentMs: 1, name: 'x', problem: null } }));
  const old = await saying(t, status({ epoch: 3 }));
  const fresh = await saying(t, status({ epoch: 4 }));
  const silent = await agent(t, () => 'silence');
  const urls = [stale.url, old.url, silent.url, fresh.url, 'http://127.0.0.1:1'];
  const { url, status: view } = await new ClusterClient(target(urls)).look(500);
  assert.equal(url, fresh.url);
  assert.equal(view.epoch, 4);
});

test('looking again asks only the one that answered, until it does not see the store or a leader any more', async (t) => {
  let view = status();
  const first = await agent(t, () => ({ body: view }));
  const second = await saying(t, status({ epoch: 2 }));
  const client = new ClusterClient(target([first.url, second.url]));
  await client.lookAgain();
  await client.lookAgain();
  assert.equal(second.requests.length, 1);
  view = status({ phase: 'promoting' });
  await client.lookAgain();
  assert.equal(second.requests.length, 2);
});

test('nobody answers: unreachable, safe to repeat', async () => {
  const client = new ClusterClient(target(['http://127.0.0.1:1']));
  await assert.rejects(
    client.look(),
    (error) => codeOf('UNREACHABLE')(error) && error instanceof CliError && error.retry === 'safe',
  );
});

test('the token goes with questions only to an agent that wants it, and to no address that is not encrypted', async (t) => {
  const one = await agent(t, (path, headers) =>
    headers.authorization === undefined
      ? { code: 401, body: { code: 'TOKEN_MISSING', message: 'It needs the token.', next: 'Send it.' } }
      : { body: path === '/understudy/status' ? status() : [] },
  );
  const client = new ClusterClient(target([one.url]));
  await client.history();
  assert.deepEqual(
    one.requests.map(({ headers }) => headers.authorization !== undefined),
    [false, true, true],
  );
  const ca = { ca: 'x' };
  const may = (url: string, more: object = {}) =>
    mayCarryToken(url, { urls: ['https://10.0.0.1:8008', 'http://10.0.0.1:8008'], tls: {}, insecure: false, ...more });
  assert.equal(may('http://127.0.0.1:8008/x'), true);
  assert.equal(may('https://10.0.0.1:8008/x'), true);
  assert.equal(may('https://10.0.0.2:8008/x'), false, 'nobody named it');
  assert.equal(may('https://10.0.0.2:8008/x', { tls: ca }), true, "the cluster's authority vouches for it");
  assert.equal(may('http://10.0.0.1:8008/x', { tls: ca }), false);
  assert.equal(may('http://127.evil.example:8008/x'), false);
  assert.equal(may('http://10.0.0.1:8008/x', { insecure: true }), true);
  await assert.rejects(
    new ClusterClient(target(['http://192.0.2.1:8008'])).restore({}),
    (error) => codeOf('USAGE')(error) && /token is not sent/.test(String(error)),
  );
});

test('the token goes with changes, and with nothing else', async (t) => {
  const one = await agent(t, (path) =>
    path === '/understudy/status' ? { body: status() } : { body: { paused: true } },
  );
  await new ClusterClient(target([one.url])).post('POST', '/understudy/pause');
  assert.deepEqual(
    one.requests.map(({ method, headers }) => [method, headers.authorization]),
    [
      ['GET', undefined],
      ['POST', 'Bearer secret-token-of-the-cluster'],
    ],
  );
});

const refusals: readonly (readonly [number, string, string])[] = [
  [412, 'REQUEST_REFUSED', 'REFUSED'],
  [409, 'REQUEST_PENDING', 'REFUSED'],
  [412, 'CONFIG_CHANGED', 'CONFIG_CHANGED'],
  [503, 'REQUEST_FAILED', 'REQUEST_FAILED'],
  [503, 'STORE_UNAVAILABLE', 'UNREACHABLE'],
  [401, 'TOKEN_MISSING', 'REFUSED'],
  [400, 'BODY_INVALID', 'USAGE'],
];
for (const [code, said, meant] of refusals) {
  test(`an agent that answers ${code} ${said} is understood as ${meant}`, async (t) => {
    const body = { code: said, message: 'It says why.', next: 'And what to do.' };
    const one = await agent(t, (path) => (path === '/understudy/status' ? { body: status() } : { code, body }));
    const client = new ClusterClient(target([one.url]));
    await assert.rejects(client.request('/switchover', {}, 0), codeOf(meant));
  });
}

test('something that is no agent is said to be none', async (t) => {
  for (const body of ['<html>', { hello: 1 }, status({ cluster: '' }) && { ...status(), members: 'none' }]) {
    const one = await agent(t, () => ({ body }));
    await assert.rejects(new ClusterClient(target([one.url])).look(), codeOf('ANSWER_INVALID'));
  }
});

test('the configuration is written back with the tag it was read with', async (t) => {
  const one = await agent(t, (path) =>
    path === '/understudy/status' ? { body: status() } : { body: { requiredAcks: 1 }, headers: { etag: '"17"' } },
  );
  const client = new ClusterClient(target([one.url]));
  const seen = await client.config();
  assert.deepEqual(seen, { config: { requiredAcks: 1 }, version: '"17"' });
  await client.patchConfig({ requiredAcks: 2 }, seen.version);
  assert.equal(one.requests.at(-1)?.headers['if-match'], '"17"');
});

test('where to look: options before the environment, --api first; several addresses, with or without scheme', async () => {
  const env = { UNDERSTUDY_API: 'http://10.0.0.9:8008', UNDERSTUDY_TOKEN: 'from-the-environment' };
  const byOption = await findTarget({ api: ['10.0.0.1:8008,https://10.0.0.2:8008'] }, env);
  assert.deepEqual(byOption.urls, ['http://10.0.0.1:8008', 'https://10.0.0.2:8008']);
  assert.equal(await byOption.token(), 'from-the-environment');
  assert.deepEqual((await findTarget({}, env)).urls, ['http://10.0.0.9:8008']);
  await assert.rejects(findTarget({ dataDir: '/does/not/exist' }, env), codeOf('NO_CLUSTER'));
});
