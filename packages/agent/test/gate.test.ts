/** Strangers against the API's own port: members are heard, whatever comes, and what is slow or idle does not stay. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { get as getTls } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { memberId } from '@understudy/core';
import type { CertificateRule } from '../src/access/caller.ts';
import { Gate } from '../src/access/gate.ts';
import { type Listener, openListener } from '../src/api/listener.ts';
import { nodeConfigSchema } from '../src/config/node-config.ts';
import { EventHub, subscriberOf } from '../src/peers/hub.ts';
import { introduction, memberSecretOf } from '../src/peers/introduction.ts';
import { PeerStream, type PeerTls } from '../src/peers/stream.ts';
import { makeCertificates } from './support/certificates.ts';
import { eventually } from './support/eventually.ts';
import { Flood } from './support/flood.ts';
import { freePorts } from './support/ports.ts';
import { report } from './support/report.ts';

const [n1, n2] = [memberId('n1'), memberId('n2')];
const secret = memberSecretOf('c', { superuser: 'password', replication: 'p', rewind: 'p', monitor: 'p' }, () => []);
const policy = { tokens: [], certificates: [], members: new Map(), loopback: 'token' } as const;

interface Served {
  readonly port: number;
  readonly url: string;
  readonly tls: PeerTls | null;
  readonly listener: Listener;
  readonly folder: string;
}

/** The API's port with event streams and nothing else behind it, beating as an agent's does. */
async function serve(
  t: TestContext,
  scheme: 'http' | 'https',
  certificates: readonly CertificateRule[] = [],
): Promise<Served> {
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), 'us-gate-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const files = scheme === 'http' ? null : await makeCertificates(folder, 'n1');
  const read = (file: string) => readFile(file, 'utf8');
  const tls =
    files === null ? null : { ca: await read(files.ca), cert: await read(files.cert), key: await read(files.key) };
  const { api } = nodeConfigSchema.parse({
    cluster: 'c',
    member: 'n1',
    store: { kind: 'local', path: '/nowhere' },
    api: { listen: `127.0.0.1:${port}`, ...(files === null ? {} : { tls: { ...files, clientCert: 'optional' } }) },
    engine: { kind: 'postgres', dataDir: '/nowhere' },
    secretsFile: '/nowhere',
    runDir: '/nowhere',
  });
  const hub = new EventHub();
  hub.publish(report(1), performance.now());
  const listener = await openListener(api, tls, {
    self: n1,
    secret,
    clientCert: files === null ? 'none' : 'optional',
    policy: () => ({ ...policy, certificates }),
  });
  listener.serve((request, response, caller) => {
    if (request.url !== '/events') return void response.writeHead(200).end(caller.role ?? 'nothing');
    const subscriber = subscriberOf(caller, request.socket.remoteAddress ?? '');
    if (!hub.subscribe(response, performance.now(), subscriber)) response.writeHead(503).end();
  });
  const pulse = setInterval(() => hub.beat(performance.now()), 100);
  t.after(async () => {
    clearInterval(pulse);
    hub.close();
    await listener.close();
  });
  return { port, url: `${scheme}://127.0.0.1:${port}`, tls, listener, folder };
}

function follow(t: TestContext, { url, tls }: Served): { readonly stream: PeerStream; readonly losses: () => number } {
  let changes = 0;
  const stream = new PeerStream({
    member: n1,
    apiUrl: url,
    tls,
    headers: introduction(secret, 'stream', n2, n1),
    runningMs: () => performance.now(),
    freshMs: () => 1_000,
    onChange: () => {
      if (stream.view().kind !== 'fresh') changes++;
    },
    onMessage: () => undefined,
  });
  t.after(() => stream.close());
  return { stream, losses: () => changes };
}

const isFresh = (stream: PeerStream) => (stream.view().kind === 'fresh' ? true : null);

for (const scheme of ['http', 'https'] as const) {
  describe(`a flood of ${scheme} connections`, { timeout: 60_000 }, () => {
    it('takes nothing from a member, neither its stream nor the way to a new one, and stays within its bounds', async (t) => {
      const served = await serve(t, scheme);
      const first = follow(t, served);
      await eventually('the first stream', () => isFresh(first.stream));
      const flood = new Flood([served.port], scheme, 600, 3_000);
      t.after(() => flood.end());
      const { gate } = served.listener;
      await eventually('more than there is room for', () => (gate.counters.evicted > 300 ? true : null));
      for (let round = 0; round < 3; round++) {
        const next = follow(t, served);
        await eventually('a further stream', () => isFresh(next.stream), 10_000);
        next.stream.close();
      }
      assert.ok(isFresh(first.stream) !== null, 'the first one is as it was');
      assert.equal(first.losses(), 0);
      const open = await new Promise<number>((resolve, reject) =>
        served.listener.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
      );
      assert.ok(open <= 320, `${open} connections`);
    });
  });
}

/** Resolves with how long a connection was left open; rejects when it still is after `limitMs`. */
function lifetimeMs(socket: Socket, limitMs: number): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`still open after ${limitMs} ms`));
    }, limitMs);
    socket.on('error', () => undefined);
    socket.resume();
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(performance.now() - startMs);
    });
  });
}

describe('a slow connection', { timeout: 60_000 }, () => {
  const LIMIT_MS = 20_000;
  it('is ended, whether it says nothing, half a head or half a body', async (t) => {
    const { port } = await serve(t, 'http');
    const open = (text: string) => {
      const socket = connect(port, '127.0.0.1');
      if (text !== '') socket.write(text);
      return lifetimeMs(socket, LIMIT_MS);
    };
    const half = 'GET / HTTP/1.1\r\nhost: x';
    const body = 'POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\nx';
    await Promise.all(['', half, body].map(open));
  });

  it('is ended when it does not finish its TLS handshake', async (t) => {
    const { port } = await serve(t, 'https');
    const socket = connect(port, '127.0.0.1');
    socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]));
    await lifetimeMs(socket, LIMIT_MS);
  });
});

describe('a certificate', { timeout: 60_000 }, () => {
  it('without a name in it, or with a strange one, is one that may look, and ends nothing', async (t) => {
    const served = await serve(t, 'https', [
      { name: 'db1.example', role: 'admin' },
      { name: '10.0.0.1', role: 'admin' },
    ]);
    const { folder } = served;
    for (const subject of ['/O=nobody', '/', '/CN=a/CN=b', '/CN=10.0.0.1.example']) {
      const files = await makeCertificates(folder, `c${subject.length}`, 'n1', subject);
      const [ca, cert, key] = await Promise.all(
        [files.ca, files.cert, files.key].map((file) => readFile(file, 'utf8')),
      );
      const who = await new Promise<string>((resolve, reject) => {
        const tls = { ca: ca ?? '', cert: cert ?? '', key: key ?? '', agent: false } as const;
        getTls(`${served.url}/who`, tls, (response) => {
          response.setEncoding('utf8').once('data', (text: string) => resolve(text));
        }).on('error', reject);
      });
      assert.equal(who, 'view', subject);
    }
  });
});

describe('too many requests', { timeout: 60_000 }, () => {
  it('of one stranger are turned away, and a member is answered meanwhile', async (t) => {
    const served = await serve(t, 'http');
    const socket = connect(served.port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.write('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(20_000));
    await eventually('it is turned away', () => (served.listener.gate.counters.throttled > 0 ? true : null));
    await eventually('and cut off', () => (socket.destroyed || text.includes('429') ? true : null));
    const status = await new Promise<number>((resolve, reject) => {
      const headers = introduction(secret, 'stream', n2, n1);
      get(`${served.url}/`, { headers, agent: false }, (response) => resolve(response.statusCode ?? 0)).on(
        'error',
        reject,
      );
    });
    assert.equal(status, 200);
  });
});

it('a connection counts until it ends, although another one came from the same port of the client', async (t) => {
  const server = createServer();
  const gate = new Gate(server, { self: n1, secret, clientCert: 'none', policy: () => policy });
  const [port = 0, from = 0] = await freePorts(2);
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const to = async (host: string): Promise<Socket> => {
    const socket = connect({ host, port, localAddress: '127.0.0.1', localPort: from });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return socket;
  };
  const [first, second] = [await to('127.0.0.1'), await to('127.0.0.2')];
  await eventually('both are counted', () => (gate.size.strangers === 2 ? true : null));
  first.destroy();
  await eventually('the first has gone', () => (gate.size.strangers === 1 ? true : null));
  second.destroy();
  await eventually('none is left', () => (gate.size.strangers === 0 ? true : null));
});
