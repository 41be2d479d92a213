/**
 * A process that attacks: opens hostile connections to ports until it is told to end, and opens each again that was ended. It sends no
 * password and asks for nothing that needs one. Argument: JSON of {@link FloodPlan}. It says how many are open, as numbers over the channel to its
 * parent, and ends with that.
 */

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface FloodTarget {
  readonly host: string;
  readonly port: number;
  /** What is spoken there. */
  readonly speaks: 'http' | 'https' | 'database';
}

export interface FloodPlan {
  readonly targets: readonly FloodTarget[];
  /** Connections to each of them. */
  readonly each: number;
  /** How soon a connection that was ended is opened again. */
  readonly againMs: number;
}

type Way = (target: FloodTarget) => Socket;

/** How many are opened at once, and how often. */
const BATCH = 25;
const EVERY_MS = 5;
const TELL_MS = 200;

const saying =
  (text: string | Buffer): Way =>
  ({ host, port }) => {
    const socket = connect({ host, port });
    socket.once('connect', () => socket.write(text));
    return socket;
  };
const idle: Way = ({ host, port }) => connect({ host, port });
const halfHead = saying('GET /understudy/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
const events = saying('GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
/** The begin of a ClientHello that never ends. */
const halfHello = saying(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]));
const overTls =
  (text: string): Way =>
  ({ host, port }) => {
    // Whoever attacks does not care whom it talks to.
    const socket = connectTls({ host, port, rejectUnauthorized: false });
    socket.once('secureConnect', () => socket.write(text));
    return socket;
  };
/** The length of a message that never comes. */
const halfStartup = saying(Buffer.from([0, 0, 0]));

const WAYS: Readonly<Record<FloodTarget['speaks'], readonly Way[]>> = {
  http: [idle, halfHead, events],
  https: [idle, halfHello, halfHello, overTls('GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')],
  database: [idle, halfStartup],
};

function main({ targets, each, againMs }: FloodPlan): void {
  const open = new Set<Socket>();
  const waiting: (() => void)[] = [];
  const start = (target: FloodTarget, way: Way): void => {
    const socket = way(target);
    const mark = (): void => void open.add(socket);
    socket.on('connect', mark);
    socket.on('error', () => undefined);
    // What is sent is read: a stream that is not read would end by itself.
    socket.resume();
    socket.on('close', () => {
      open.delete(socket);
      setTimeout(() => waiting.push(() => start(target, way)), againMs);
    });
  };
  for (let index = 0; index < each; index += 1) {
    for (const target of targets) {
      const ways = WAYS[target.speaks];
      const way = ways[index % ways.length] ?? idle;
      waiting.push(() => start(target, way));
    }
  }
  setInterval(() => {
    for (const next of waiting.splice(0, BATCH)) next();
  }, EVERY_MS);
  setInterval(() => process.send?.(open.size), TELL_MS);
  process.once('disconnect', () => process.exit(0));
}

if (process.argv[2] !== undefined) main(JSON.parse(process.argv[2]) as FloodPlan);
