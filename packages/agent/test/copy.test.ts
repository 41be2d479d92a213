/** A copy on its way from agent to agent: it arrives byte for byte, and nothing that is less than whole is taken for whole. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, type Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { it, type TestContext } from 'node:test';
import { DEFAULT_TAGS, type Member, memberId } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import Fastify from 'fastify';
import { identify } from '../src/access/identify.ts';
import type { Token } from '../src/access/tokens.ts';
import { addCopyRoute, requireSecrecy } from '../src/api/copy.ts';
import { HttpProblem } from '../src/api/errors.ts';
import { COPY_TRAILER } from '../src/codec/copy-verdict.ts';
import { nodeConfigSchema } from '../src/config/node-config.ts';
import { copyOpener } from '../src/peers/copy.ts';
import { introduction, memberSecretOf } from '../src/peers/introduction.ts';
import { eventually } from './support/eventually.ts';

const [n1, n2] = [memberId('n1'), memberId('n2')];
const request = { member: n2, engine: 'mariadb', version: '11.8.6' };
const secretOf = (superuser: string, ...olderTokens: readonly string[]) =>
  memberSecretOf('c', { superuser, replication: 'p', rewind: 'p', monitor: 'p' }, () => olderTokens);
const secret = secretOf('password-of-the-cluster');
const token: Token = { role: 'admin', name: 'ops', secret: 'token-of-the-tests' };
const never = new AbortController().signal;

type Send = (output: Writable, signal: AbortSignal) => Promise<void>;

const memberAt = (port: number): Member => ({
  id: memberId('n1'),
  apiUrl: `http://127.0.0.1:${port}`,
  host: '127.0.0.1',
  port: 1,
  tags: DEFAULT_TAGS,
});

const config = nodeConfigSchema.parse({
  cluster: 'c',
  member: 'n1',
  store: { kind: 'local', path: '/nowhere' },
  engine: { kind: 'mariadb', dataDir: '/nowhere', serverId: 1 },
  secretsFile: '/nowhere',
  runDir: '/nowhere',
});

/** An agent's API with an engine that sends so; `asked` counts how often the engine was. */
async function source(t: TestContext, send: Send | null) {
  const asked: unknown[] = [];
  const sendCopy = async (wanted: unknown, output: Writable, signal: AbortSignal): Promise<void> => {
    asked.push(wanted);
    await send?.(output, signal);
  };
  const engine = { name: 'a test', ...(send === null ? {} : { sendCopy }) };
  const server = Fastify();
  const agent = { engine, config, counters: { copies: 0 } };
  server.setErrorHandler((error, _request, reply) => {
    if (error instanceof HttpProblem) return reply.code(error.status).send(error.body);
    throw error;
  });
  const policy = { tokens: [token], certificates: [], members: new Map(), loopback: 'trusted' } as const;
  const identity = { self: n1, secret, clientCert: 'none', policy: () => policy } as const;
  addCopyRoute(server, {
    agent,
    callerOf: ({ raw }) => identify(raw, identity, 'copy'),
    log: { info: () => undefined, warn: () => undefined },
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => server.close());
  const { port } = server.server.address() as AddressInfo;
  return { from: memberAt(port), asked, agent, server };
}

async function plainServer(t: TestContext, answer: RequestListener): Promise<Member> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return memberAt(port);
}

const open = copyOpener({ self: n2, tls: null, secret, encryption: 'as-it-is' });
const failsWith = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof EngineError && error.code === code && message.test(error.message);

it('arrives as it was sent, and says who asked', async (t) => {
  const bytes = randomBytes(3_000_000);
  const { from, asked, agent } = await source(t, (output) =>
    pipeline(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]), output, { end: false }),
  );
  assert.deepEqual(await buffer(await open(from, request, never)), bytes);
  assert.deepEqual(asked, [request]);
  assert.equal(agent.counters.copies, 1);
});

it('fails as the source says when it breaks off, whatever came before', async (t) => {
  const { from } = await source(t, async (output) => {
    output.write(randomBytes(100_000));
    throw new EngineError('ENGINE_COPY_UNAVAILABLE', 'commits wait: 100 % "sure"\n');
  });
  const stream = await open(from, request, never);
  await assert.rejects(buffer(stream), failsWith('ENGINE_COPY_UNAVAILABLE', /^commits wait: 100 % "sure"\n$/));
});

it('is not whole when its connection is cut', async (t) => {
  const from = await plainServer(t, (_request, response) => {
    response.writeHead(200, { trailer: COPY_TRAILER });
    response.write('half');
    setImmediate(() => response.socket?.destroy());
  });
  await assert.rejects(
    (async () => buffer(await open(from, request, never)))(),
    failsWith('ENGINE_CLONE_FAILED', /was cut off/),
  );
});

it('is not whole when it ends in order and nobody says that it is', async (t) => {
  const from = await plainServer(t, (_request, response) => response.end('everything, as it seems'));
  await assert.rejects(
    buffer(await open(from, request, never)),
    failsWith('ENGINE_CLONE_FAILED', /before it was whole/),
  );
});

it('is refused to everybody but a member, before the engine hears of it: the administrator and this machine are none', async (t) => {
  const { from, asked } = await source(t, async () => undefined);
  const stranger = copyOpener({ self: n2, tls: null, secret: secretOf('another-password'), encryption: 'as-it-is' });
  await assert.rejects(stranger(from, request, never), failsWith('ENGINE_COPY_UNAVAILABLE', /Only agents/));
  const streams = introduction(secret, 'stream', n2, n1);
  const elsewhere = introduction(secret, 'copy', n2, memberId('n3'));
  const older = introduction(secretOf('x', token.secret), 'stream', n2, n1);
  for (const headers of [{}, { authorization: `Bearer ${token.secret}` }, streams, elsewhere, older]) {
    // The router takes each of these for the same path.
    for (const path of ['/understudy/copy', '/understudy/cop%79', '/understudy/copy?x']) {
      const { status } = await fetch(new URL(path, from.apiUrl), {
        method: 'POST',
        body: JSON.stringify(request),
        headers: { 'content-type': 'application/json', ...headers },
      });
      assert.equal(status, 403, path);
    }
  }
  assert.deepEqual(asked, []);
});

it('is refused to a member that asks as another one', async (t) => {
  const { from, asked } = await source(t, async () => undefined);
  const other = copyOpener({ self: memberId('n3'), tls: null, secret, encryption: 'as-it-is' });
  await assert.rejects(other(from, request, never), failsWith('ENGINE_COPY_UNAVAILABLE', /each asks for its own/));
  assert.deepEqual(asked, []);
});

it('sends nothing that shows membership to an address that only looks like this machine', async () => {
  const careful = copyOpener({ self: n2, tls: null, secret, encryption: 'required' });
  for (const host of ['127.evil.example', '192.0.2.1', '[2001:db8::1]', 'localhost.evil.example']) {
    const from = { ...memberAt(1), apiUrl: `http://${host}:8008` };
    await assert.rejects(careful(from, request, never), failsWith('ENGINE_COPY_UNAVAILABLE', /is not/), host);
  }
});

it('is to be had in another way from an agent that is older, away, or of another engine', async (t) => {
  const old = await plainServer(t, (_request, response) => response.writeHead(404).end('{"code":"NO_SUCH_PATH"}'));
  await assert.rejects(open(old, request, never), failsWith('ENGINE_COPY_UNAVAILABLE', /status 404/));
  const { from, server } = await source(t, null);
  await assert.rejects(open(from, request, never), failsWith('ENGINE_COPY_UNAVAILABLE', /not sent/));
  await server.close();
  await assert.rejects(open(from, request, never), failsWith('ENGINE_COPY_UNAVAILABLE', /does not answer/));
});

it('passes on what the engine refuses before a byte has come', async (t) => {
  const { from } = await source(t, async () => {
    throw new EngineError('ENGINE_BUSY', 'n1 sends a copy to n3');
  });
  await assert.rejects(open(from, request, never), failsWith('ENGINE_BUSY', /n3/));
});

it('tells the source at once that the receiver is gone', async (t) => {
  let isGone = false;
  const { from } = await source(t, async (output, signal) => {
    output.write('first');
    await once(signal, 'abort');
    isGone = true;
    throw signal.reason;
  });
  const stream = await open(from, request, never);
  await once(stream, 'readable');
  stream.destroy();
  await eventually('the source to notice', () => (isGone ? true : null));
});

it('makes the source wait for a receiver that does not read', async (t) => {
  const chunk = Buffer.alloc(1024 * 1024);
  let written = 0;
  let waits = false;
  const { from } = await source(t, async (output) => {
    for (; written < 64; written += 1) {
      waits = !output.write(chunk);
      if (waits) await once(output, 'drain');
      waits = false;
    }
  });
  const stream = await open(from, request, never);
  let before = -1;
  await eventually('the source to stand still', async () => {
    const isStill = waits && written === before;
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return isStill ? true : null;
  });
  assert.ok(written < 32, `${written} MiB were taken by nobody`);
  let bytes = 0;
  for await (const part of stream) bytes += Buffer.from(part).length;
  assert.equal(bytes, 64 * chunk.length);
});

it('does not go over the network in the clear where replication is encrypted', async () => {
  const careful = copyOpener({ self: n2, tls: null, secret, encryption: 'required' });
  const from = { ...memberAt(1), apiUrl: 'http://192.0.2.1:8008' };
  await assert.rejects(careful(from, request, never), failsWith('ENGINE_COPY_UNAVAILABLE', /is not/));
  const tls = { ca: 'a', cert: 'b', key: 'c', verify: 'full' } as const;
  assert.throws(() => requireSecrecy({ tls }, 'plain', '192.0.2.7'), HttpProblem);
  for (const [engine, way, caller] of [
    [{}, 'plain', '192.0.2.7'],
    [{ tls }, 'encrypted', '192.0.2.7'],
    [{ tls }, 'plain', '127.0.0.1'],
  ] as const) {
    requireSecrecy(engine, way, caller);
  }
});
