/** The peer stream over real sockets: what is said arrives, a killed peer is noticed at once, and refusal is told from silence. */

import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { memberId, type Position } from '@understudy/core';
import fc from 'fast-check';
import { identify } from '../src/access/identify.ts';
import { EventHub, subscriberOf } from '../src/peers/hub.ts';
import { introduction, memberSecretOf } from '../src/peers/introduction.ts';
import { formatReport } from '../src/peers/report.ts';
import { SseParser } from '../src/peers/sse.ts';
import { PeerStream } from '../src/peers/stream.ts';
import { eventually } from './support/eventually.ts';
import { at, N1, report } from './support/report.ts';

async function serve(context: TestContext, hub: EventHub): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    const subscriber = subscriberOf(identify(request, IDENTITY, 'stream'), request.socket.remoteAddress ?? '');
    if (!hub.subscribe(response, performance.now(), subscriber)) response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    hub.close();
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { url: `http://127.0.0.1:${address.port}`, server };
}

function listen(context: TestContext, url: string, member = N1, headers: Record<string, string> = {}): PeerStream {
  const stream = new PeerStream({
    member,
    apiUrl: url,
    tls: null,
    headers,
    runningMs: () => performance.now(),
    freshMs: () => 5_000,
    onChange: () => undefined,
    onMessage: () => undefined,
  });
  context.after(() => stream.close());
  return stream;
}

/** A stream by a clock that stands still, from a server that says what the test tells it. */
async function follow(context: TestContext) {
  const clock = { now: 0, asked: 0 };
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    responses.push(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const stream = new PeerStream({
    member: N1,
    apiUrl: `http://127.0.0.1:${address.port}`,
    tls: null,
    headers: {},
    runningMs: () => {
      clock.asked++;
      return clock.now;
    },
    freshMs: () => 1_000,
    onChange: () => undefined,
    onMessage: () => undefined,
  });
  context.after(() => {
    stream.close();
    server.closeAllConnections();
    server.close();
  });
  const connection = (number: number) => eventually('connected', () => responses[number - 1] ?? null);
  return { stream, clock, connection };
}

const positionOf = (stream: PeerStream): Position | null => {
  const view = stream.view();
  return view.kind === 'fresh' && view.live.engine.kind === 'replica' ? view.live.engine.position : null;
};

const passwords = { superuser: 'password-of-the-cluster', replication: 'p', rewind: 'p', monitor: 'p' };
const SECRET = memberSecretOf('test', passwords, () => []);
const POLICY = { tokens: [], certificates: [], members: new Map(), loopback: 'token' } as const;
const IDENTITY = { self: N1, secret: SECRET, clientCert: 'none', policy: () => POLICY } as const;
const introduced = introduction(SECRET, 'stream', memberId('n2'), N1);

describe('peer stream', () => {
  it('gives the whole report at once to whoever connects, and positions with the beats', async (context) => {
    const hub = new EventHub();
    const { url } = await serve(context, hub);
    hub.publish(report(1), performance.now());
    const stream = listen(context, url);
    await eventually('first report', () => positionOf(stream));
    assert.deepEqual(positionOf(stream), at(1));
    hub.publish(report(2), performance.now());
    hub.beat(performance.now());
    await eventually('second position', () => (isDeepStrictEqual(positionOf(stream), at(2)) ? true : null));
  });

  it('takes a peer that beats and decides nothing any more for silent, until it does again', async (context) => {
    const hub = new EventHub();
    const { url } = await serve(context, hub);
    hub.publish(report(1), performance.now());
    const stream = listen(context, url);
    await eventually('first report', () => positionOf(stream));
    hub.beat(performance.now(), 8_000);
    hub.publish(report(2), performance.now());
    hub.beat(performance.now());
    await eventually('second position', () => (isDeepStrictEqual(positionOf(stream), at(2)) ? true : null));
    hub.beat(performance.now(), 8_001);
    const view = await eventually('silent', () => (stream.view().kind === 'silent' ? stream.view() : null));
    assert.ok(view.kind === 'silent' && view.silentMs >= 8_001);
    hub.beat(performance.now());
    await eventually('fresh again', () => positionOf(stream));
  });

  it('does not take the report of a dead process for the word of the next one, which has said nothing yet', async (context) => {
    const { stream, clock, connection } = await follow(context);
    const first = await connection(1);
    first.write(formatReport(0, report(1)));
    await eventually('fresh', () => positionOf(stream));
    // Once it has reported, a large report counts while it comes in pieces.
    clock.now = 10_000;
    assert.equal(stream.view().kind, 'silent');
    first.write(formatReport(0, report(2)).slice(0, 20));
    await eventually('heard again', () => positionOf(stream));
    first.destroy();
    clock.now = 12_000;
    const second = await connection(2);
    for (const piece of [': no report yet\n\n', formatReport(0, report(3)).slice(0, 20)]) {
      clock.asked = 0;
      second.write(piece);
      await eventually('the piece has arrived', () => (clock.asked > 0 ? true : null));
      const view = stream.view();
      assert.ok(view.kind === 'silent');
      assert.equal(view.silentMs, 2_000, 'since the word of the one before');
      assert.deepEqual(view.last, report(1).live);
      // Nor is a connection given up as idle on which bytes come.
      stream.tick();
    }
    second.write(formatReport(0, report(3)).slice(20));
    await eventually('its own report', () => (isDeepStrictEqual(positionOf(stream), at(3)) ? true : null));
  });

  it('hears nothing from a peer that turns it away, however often', async (context) => {
    let asked = 0;
    const server = createServer((_request, response) => {
      asked++;
      response.writeHead(503).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const stream = listen(context, `http://127.0.0.1:${address.port}`);
    const startedMs = performance.now();
    await eventually('several attempts', () => (asked >= 4 ? true : null));
    const elapsedMs = performance.now() - startedMs;
    const view = stream.view();
    assert.ok(view.kind === 'silent' && view.last === null);
    assert.equal(stream.turnedAway, 503);
    assert.ok(view.silentMs >= elapsedMs - 1, 'silent since it was first asked');
  });

  it('notices a peer whose process is gone: refusing, with what was last known', async (context) => {
    const hub = new EventHub();
    const { url, server } = await serve(context, hub);
    hub.publish(report(1), performance.now());
    const stream = listen(context, url);
    await eventually('fresh', () => positionOf(stream));
    server.close();
    server.closeAllConnections();
    const view = await eventually('refusing', () => {
      const seen = stream.view();
      return seen.kind === 'refusing' ? seen : null;
    });
    assert.deepEqual(view.last, report(1).live);
    assert.ok(view.forMs >= 100);
  });

  it('takes a peer that never was there for refusing, and one that comes back for fresh', async (context) => {
    const first = await serve(context, new EventHub());
    const { port } = new URL(first.url);
    await new Promise((resolve) => first.server.close(resolve));
    const stream = listen(context, first.url);
    await eventually('refusing', () => (stream.view().kind === 'refusing' ? true : null));
    const hub = new EventHub();
    hub.publish(report(4), performance.now());
    const server = createServer((request, response) => {
      const subscriber = subscriberOf(identify(request, IDENTITY, 'stream'), request.socket.remoteAddress ?? '');
      if (!hub.subscribe(response, performance.now(), subscriber)) response.writeHead(503).end();
    });
    await new Promise<void>((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    await eventually('fresh', () => positionOf(stream));
  });

  it('does not believe an address that answers for somebody else', async (context) => {
    const hub = new EventHub();
    const { url } = await serve(context, hub);
    hub.publish(report(1, memberId('n2')), performance.now());
    let connections = 0;
    const stream = listen(context, url);
    const counted = hub.subscribe.bind(hub);
    hub.subscribe = (...args) => {
      connections++;
      return counted(...args);
    };
    await eventually('several attempts', () => (connections >= 2 ? true : null));
    assert.equal(stream.report, null);
    assert.equal(stream.view().kind, 'silent');
  });

  it('streams to members however many streams others hold, and to no one who only says that he is one', async (context) => {
    const hub = new EventHub();
    const { url } = await serve(context, hub);
    hub.publish(report(1), performance.now());
    const { port } = new URL(url);
    let refused = 0;
    const open = (headers: string): void => {
      const socket = connect(Number(port), '127.0.0.1');
      context.after(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.once('data', (data) => {
        if (!data.toString().startsWith('HTTP/1.1 200')) refused++;
      });
      socket.write(`GET /events HTTP/1.1\r\nhost: x\r\n${headers}\r\n`);
    };
    const impostor = `x-understudy-member: n3 ${'0'.repeat(64)}\r\n`;
    for (let i = 0; i < 60; i++) open(i % 2 === 0 ? '' : impostor);
    await eventually('one address has all that it may have', () => (refused >= 52 && hub.size === 8 ? true : null));
    const member = listen(context, url, N1, introduced);
    await eventually('the member is served all the same', () => positionOf(member));
    listen(context, url, N1, introduced);
    listen(context, url, N1, introduced);
    await eventually('its oldest stream makes room', () => (hub.size === 10 ? true : null));
  });

  it('drops a subscriber that does not read', async (context) => {
    const hub = new EventHub();
    const { url } = await serve(context, hub);
    hub.publish(report(1), performance.now());
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    context.after(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.pause();
    socket.write('GET /events HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually('subscribed', () => (hub.size === 1 ? true : null));
    const large = report(1);
    let round = 0;
    await eventually('dropped', () => {
      for (let i = 0; i < 100; i++) {
        const text = `${round++} ${'x'.repeat(3_000)}`;
        hub.publish({ ...large, extra: { ...large.extra, reasons: [{ code: 'x', text }] } }, performance.now());
      }
      return hub.size === 0 ? true : null;
    });
  });
});

describe('server-sent events', () => {
  it('are read whatever pieces they come in', () => {
    const text = 'event: state\ndata: {"a":1}\n\n: comment\n\nevent: beat\ndata: {}\n\n';
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 })), (sizes) => {
        const seen: string[] = [];
        const parser = new SseParser((event, data) => seen.push(`${event} ${data}`));
        let rest = text;
        for (const size of sizes) {
          parser.push(rest.slice(0, size));
          rest = rest.slice(size);
        }
        parser.push(rest);
        assert.deepEqual(seen, ['state {"a":1}', 'beat {}']);
      }),
    );
  });

  it('are limited in size', () => {
    const parser = new SseParser(() => undefined);
    assert.throws(() => parser.push('x'.repeat(9 * 1024 * 1024)), RangeError);
  });
});
