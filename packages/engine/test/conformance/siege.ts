import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  type Dirent,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineCommand } from '@understudy/core';
import type { ConformanceNode } from './harness.ts';
import { monotonicMs, type Stage } from './steps.ts';

/** What somebody who may change names in a folder can put in the place of a file. */
export const attacks = [
  'a link to a file',
  'a link to a name that is free',
  'a link to a folder',
  'a link to itself',
  'a link to the secrets of the agent',
  'another name of a file',
  'a pipe',
  'a folder',
  'a huge file',
] as const;

export type Attack = (typeof attacks)[number];

/** In every file that must not get out. */
export const canary = 'CANARY that nobody else may read\n';
const inTimeMs = 30_000;
const lookMs = 10_000;
const pollMs = 20;
/** A server that has been starting for so long waits for something. */
const serverPatienceMs = 10_000;

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Every path below a folder; links are not gone along. */
export function pathsBelow(folder: string): readonly string[] {
  const isFolder = lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  const entries = isFolder ? entriesOf(folder) : [];
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? [path, ...pathsBelow(path)] : [path];
  });
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Files that a hostile owner of other folders would like to change or to read: nobody's but this process's. */
export class Siege {
  readonly outside: string;
  readonly secret: string;
  readonly #before: string;
  readonly #owner: { readonly uid: number; readonly gid: number } | null;

  /** @param owner whose the attacked folders are; null: this process's own */
  constructor(owner: { readonly uid: number; readonly gid: number } | null) {
    this.#owner = owner;
    this.outside = mkdtempSync(join(tmpdir(), 'us-siege-'));
    this.secret = join(this.outside, 'secret');
    mkdirSync(join(this.outside, 'folder'), { mode: 0o755 });
    for (const path of [this.secret, join(this.outside, 'folder', 'file')]) writeFileSync(path, canary);
    chmodSync(this.secret, 0o600);
    this.#before = this.fingerprint();
  }

  /** Puts something in the place of a file, as the owner of its folder would. Whatever had that name is removed. */
  plant(attack: Attack, path: string): void {
    rmSync(path, { recursive: true, force: true });
    this.#makers[attack](path);
    // Another name of a file is that file: it stays whose it is.
    if (this.#owner !== null && attack !== 'another name of a file') {
      for (const each of [path, ...pathsBelow(path)]) lchownSync(each, this.#owner.uid, this.#owner.gid);
    }
  }

  readonly #makers: Readonly<Record<Attack, (path: string) => void>> = {
    'a link to a file': (path) => symlinkSync(this.secret, path),
    'a link to a name that is free': (path) => symlinkSync(join(this.outside, 'new'), path),
    'a link to a folder': (path) => symlinkSync(join(this.outside, 'folder'), path),
    'a link to itself': (path) => symlinkSync(path, path),
    'a link to the secrets of the agent': (path) => symlinkSync('/proc/self/environ', path),
    'another name of a file': (path) => linkSync(this.secret, path),
    'a pipe': (path) => execFileSync('mkfifo', ['-m', '666', path]),
    'a folder': (path) => mkdirSync(join(path, 'below'), { recursive: true }),
    'a huge file': (path) => {
      writeFileSync(path, 'x');
      truncateSync(path, 64 * 1024 ** 3);
    },
  };

  /** Everything of what must not change. */
  fingerprint(): string {
    const lines = [this.outside, ...pathsBelow(this.outside)].sort().map((path) => {
      const entry = lstatSync(path);
      const { mode, uid, gid, size } = entry;
      return JSON.stringify([path, mode, uid, gid, entry.isFile() ? [size, readFileSync(path, 'utf8')] : null]);
    });
    return lines.join('\n');
  }

  /** Files below a folder that hold something of what was hidden, though they are no other name of it. A server may remove some meanwhile. */
  leaksIn(folder: string): readonly string[] {
    const { ino } = lstatSync(this.secret);
    return pathsBelow(folder).filter((path) => {
      const entry = lstatSync(path, { throwIfNoEntry: false });
      const isSmallFile = entry?.isFile() === true && entry.size < 64 * 1024 ** 2 && entry.ino !== ino;
      return isSmallFile && contentOf(path).includes('CANARY');
    });
  }

  /** @param folders of the hostile user @throws AssertionError when something outside has changed, or got into those folders */
  assertUnharmed(folders: readonly string[], what: string): void {
    assert.equal(this.fingerprint(), this.#before, `${what} changes what is outside`);
    // An ordinary user reads what it may read anyway, also through a link.
    if (this.#owner === null) return;
    assert.deepEqual(
      folders.flatMap((folder) => this.leaksIn(folder)),
      [],
      `${what} lets something out`,
    );
  }

  /** As `instead`, for several files at once. */
  async insteadOfAll(paths: readonly string[], attack: Attack, work: () => Promise<unknown>): Promise<void> {
    const [first, ...rest] = paths;
    if (first === undefined) await work();
    else await this.instead(first, attack, () => this.insteadOfAll(rest, attack, work));
  }

  /** Puts something in the place of a file while `work` is done, and the file back afterwards. */
  async instead(path: string, attack: Attack, work: () => Promise<unknown>): Promise<void> {
    const kept = `${path}.kept-by-the-test`;
    const was = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    if (was) renameSync(path, kept);
    try {
      this.plant(attack, path);
      await work();
    } finally {
      rmSync(path, { recursive: true, force: true });
      if (was) renameSync(kept, path);
    }
  }

  end(): void {
    rmSync(this.outside, { recursive: true, force: true });
  }
}

/** How work ends: with its result or its error. @throws Error when it has not ended in time: it waits for what an attacker made */
export async function endOf(work: Promise<unknown>, what: string, timeoutMs = inTimeMs): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), timeoutMs);
  });
  const ended = work.catch((error: unknown) => error);
  return Promise.race([ended, late]).finally(() => clearTimeout(timer));
}

/**
 * Carries out a command to its end, however it ends.
 *
 * @returns `waits` when the server itself waits for what was put in its way, which nobody can keep it from; the engine still answers then.
 */
export async function attempt(
  stage: Stage,
  node: ConformanceNode,
  command: EngineCommand,
  what: string,
): Promise<'ended' | 'waits'> {
  const engine = node.engine();
  await endOf(engine.execute(command, stage.context(node)), what);
  const untilMs = monotonicMs() + serverPatienceMs;
  while (engine.job() !== null) {
    await endOf(engine.observe(), `a look at ${what}`, lookMs);
    if (monotonicMs() > untilMs) return 'waits';
    await delay(pollMs);
  }
  engine.takeFailures();
  return 'ended';
}
