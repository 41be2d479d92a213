/** One etcd process for a test; frozen, thawed and ended as the test wants. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findEtcd } from '@understudy/servers';
import { freePorts } from './ports.ts';

export class Etcd {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(endpoint: string, folder: string, child: ChildProcess) {
    this.endpoint = endpoint;
    this.#folder = folder;
    this.#child = child;
  }

  static async start(): Promise<Etcd> {
    const { program, env } = await findEtcd();
    const folder = await mkdtemp(join(tmpdir(), 'us-etcd-'));
    const [client = 0, peer = 0] = await freePorts(2);
    const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
    const args = ['--data-dir', folder, '--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl];
    const peers = ['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl];
    const child = spawn(program, [...args, ...peers, '--initial-cluster', `default=${peerUrl}`], {
      stdio: 'ignore',
      env: { ...process.env, ...env },
    });
    return new Etcd(clientUrl, folder, child);
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
