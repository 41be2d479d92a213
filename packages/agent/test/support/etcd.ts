/** One etcd process for a test; frozen, thawed, put back, emptied and ended as the test wants. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type FoundProgram, findEtcd } from '@understudy/servers';
import { eventually } from './eventually.ts';
import { freePorts } from './ports.ts';

const run = promisify(execFile);

export class Etcd {
  readonly endpoint: string;
  readonly #peerUrl: string;
  readonly #folder: string;
  readonly #found: FoundProgram;
  #child: ChildProcess;

  private constructor(endpoint: string, peerUrl: string, folder: string, found: FoundProgram) {
    this.endpoint = endpoint;
    this.#peerUrl = peerUrl;
    this.#folder = folder;
    this.#found = found;
    this.#child = this.#spawn();
  }

  static async start(): Promise<Etcd> {
    const found = await findEtcd();
    const folder = await mkdtemp(join(tmpdir(), 'us-etcd-'));
    const [client = 0, peer = 0] = await freePorts(2);
    return new Etcd(`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`, folder, found);
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it at once, as a loss of power does. */
  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended;
  }

  /** Starts it again, and waits until it answers. */
  async again(): Promise<void> {
    this.#child = this.#spawn();
    await eventually('etcd answers', () => this.call('/v3/kv/range', { key: 'AA==' }));
  }

  async wipe(): Promise<void> {
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
    await this.again();
  }

  /** A snapshot as `etcdctl snapshot save` makes it. */
  async snapshot(): Promise<string> {
    const response = await fetch(`${this.endpoint}/v3/maintenance/snapshot`, { method: 'POST', body: '{}' });
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    const blobs = lines.map((line) => Buffer.from(JSON.parse(line).result.blob ?? '', 'base64'));
    const file = join(this.#folder, 'snapshot.db');
    await writeFile(file, Buffer.concat(blobs));
    return file;
  }

  /** `token`: another one makes another cluster of it, by etcd's own identity. */
  async restore(snapshot: string, token: string): Promise<void> {
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
    const program = join(dirname(this.#found.program), 'etcdutl');
    const cluster = ['--name', 'default', '--initial-cluster', `default=${this.#peerUrl}`];
    const peers = ['--initial-advertise-peer-urls', this.#peerUrl, '--initial-cluster-token', token];
    await run(program, ['snapshot', 'restore', snapshot, '--data-dir', this.#data, ...cluster, ...peers], {
      env: { ...process.env, ...this.#found.env },
    });
    await this.again();
  }

  /** A call of the JSON gateway. */
  async call(path: string, body: object): Promise<unknown> {
    const response = await fetch(`${this.endpoint}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(2_000),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  #spawn(): ChildProcess {
    const { program, env } = this.#found;
    const clients = ['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint];
    const peers = ['--listen-peer-urls', this.#peerUrl, '--initial-advertise-peer-urls', this.#peerUrl];
    const args = ['--data-dir', this.#data, ...clients, ...peers, '--initial-cluster', `default=${this.#peerUrl}`];
    return spawn(program, args, { stdio: 'ignore', env: { ...process.env, ...env } });
  }
}
