import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { codeOf } from '@understudy/base';

/** Whose rights count where something lies that another user can exchange. */
export interface Rights {
  readonly uid: number;
  readonly gid: number;
}

/** A name in an open folder. Whatever happens to the path meanwhile, `at` is that name in that folder. */
export interface Place {
  readonly path: string;
  /** What the kernel is given for the name, and for the folder that it is in. */
  readonly at: string;
  readonly folder: string;
  /** Null: nobody but root and this process can change names here. */
  readonly rights: Rights | null;
}

/** An open folder; `at` is what the kernel is given for it. */
export interface OpenFolder {
  readonly path: string;
  readonly at: string;
  readonly rights: Rights | null;
}

/** Something on a path is not what only its owner could have made it, so it is not touched. */
export class PathError extends Error {
  override readonly name = 'PathError';
  readonly code = 'PATH_UNTRUSTED';
  readonly retry = 'unsafe';

  /** @param why half a sentence that begins with "is" or "is not" @param next what to do, as a sentence without its full stop */
  constructor(path: string, why: string, next = 'Put back what belongs there, or remove it') {
    super(`${path} ${why}, so it is not used. ${next}`);
  }
}

export const READ = 4;
export const WRITE = 2;
export const ENTER = 1;

const { O_DIRECTORY, O_NOFOLLOW } = constants;
/** Of Linux; Node does not name it. Opens a folder that may be passed through and not be read. */
const O_PATH = 0o10000000;
const linksMax = 40;
/** Rights of nobody in particular, in a folder where everybody may make names. */
const anybody = -1;

const selfUid = (): number => process.geteuid?.() ?? -1;

/** Only root can do what others cannot: for everybody else the kernel itself is the judge, and a path is used as it is. */
export const isRoot = (): boolean => selfUid() === 0;

/** What a mode lets somebody do. Lists of access beyond the mode are passed over. */
export function may(found: Pick<Stats, 'mode' | 'uid' | 'gid'>, rights: Rights | null, wanted: number): boolean {
  if (rights === null) return true;
  const shift = found.uid === rights.uid ? 6 : found.gid === rights.gid ? 3 : 0;
  return ((found.mode >> shift) & wanted) === wanted;
}

/** Who else than root and this process can change names in a folder; null: nobody. */
function rightsIn({ mode, uid, gid }: Stats): Rights | null {
  if (uid !== 0 && uid !== selfUid()) return { uid, gid };
  return (mode & 0o022) === 0 ? null : { uid: anybody, gid };
}

/** The rights in `next`, which was entered from `folder`. What was once somebody else's to exchange stays so. */
function rightsBelow(rights: Rights | null, folder: Stats, next: Stats): Rights | null {
  if (rights === null) return rightsIn(next);
  if (rights.uid !== anybody) return rights;
  if (next.uid !== 0 && next.uid !== selfUid()) return { uid: next.uid, gid: next.gid };
  // In a sticky folder nobody can put another name in the place of ours.
  return (folder.mode & 0o1000) === 0 ? rights : rightsIn(next);
}

/** The rights in a folder that is opened from another one. */
export function rightsInside(rights: Rights | null, found: Stats): Rights | null {
  if (!isRoot()) return null;
  return rights !== null && rights.uid !== anybody ? rights : rightsIn(found);
}

const namesOf = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');

let processes: number | null = null;

/** The file system of processes: to root its files say more than their modes tell. */
function isOfProcesses({ dev }: Stats): boolean {
  processes ??= statSync('/proc').dev;
  return dev === processes;
}

const openRoot = (): number => openSync('/', O_PATH | O_DIRECTORY);

/**
 * Goes along a path, folder by folder, by descriptors. Links that only root or this process can have made are followed. Where somebody else
 * can, a link is followed to a folder of that user alone, and to no file. Synchronous: folders in use are in memory, and each step would
 * otherwise wait for a thread.
 */
class Walk {
  readonly #path: string;
  #names: string[];
  #fd = openRoot();
  #here: Stats;
  #rights: Rights | null;
  #links = 0;
  /** Where as many names are left, a link of somebody else's has led: the folder there must be that user's. */
  readonly #owned = new Set<number>();

  constructor(path: string, named: Rights | null) {
    this.#path = path;
    this.#names = namesOf(path);
    this.#here = fstatSync(this.#fd);
    this.#rights = named ?? rightsIn(this.#here);
  }

  get fd(): number {
    return this.#fd;
  }

  get rights(): Rights | null {
    return this.#rights;
  }

  /**
   * @param last `enter`: the last name is a folder to be opened; `follow`: a file that may be reached by a trusted link; `keep`: the name itself.
   * @returns the last name, `.` when that was entered. @throws PathError; system errors
   */
  go(last: 'enter' | 'follow' | 'keep'): string {
    for (;;) {
      const name = this.#names[0];
      if (name === undefined) return '.';
      const at = `/proc/self/fd/${this.#fd}/${name}`;
      if (this.#names.length === 1 && last !== 'enter') {
        if (last === 'keep' || !isLink(at)) return name;
        this.#follow(at, name, 'file');
      } else if (!this.#enter(at)) this.#follow(at, name, 'folder');
    }
  }

  /** Goes one folder on; not when its name is a link. */
  #enter(at: string): boolean {
    let next: number;
    try {
      next = openSync(at, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      if (codeOf(error) === 'ENOTDIR' && isLink(at)) return false;
      throw named(error, this.#path);
    }
    closeSync(this.#fd);
    this.#fd = next;
    this.#names.shift();
    const before = this.#here;
    this.#here = fstatSync(next);
    this.#rights = rightsBelow(this.#rights, before, this.#here);
    this.#requireEntry();
    return true;
  }

  #requireEntry(): void {
    const [rights, here] = [this.#rights, this.#here];
    if (rights === null) return;
    if (this.#owned.has(this.#names.length) && here.uid !== rights.uid) {
      throw new PathError(this.#path, `is reached by a link of user ${rights.uid} to a folder of user ${here.uid}`);
    }
    if (may(here, rights, ENTER) && !isOfProcesses(here)) return;
    const who = rights.uid === anybody ? 'other users' : `user ${rights.uid}`;
    const why = `is below a folder where ${who} can change names, and not all of the way to it is open to ${who}`;
    throw new PathError(
      this.#path,
      why,
      'Let each folder above it belong to root, or to the user that runs the server',
    );
  }

  /** Puts what a link says in the place of its name. */
  #follow(at: string, name: string, to: 'file' | 'folder'): void {
    this.#links += 1;
    if (this.#links > linksMax) throw new PathError(this.#path, 'has too many links on its way');
    const target = readlinkSync(at);
    const rest = this.#names.slice(1);
    if (rightsIn(this.#here) !== null && !this.#isFixed(at)) {
      if (to === 'file' || this.#rights?.uid !== this.#here.uid) {
        throw new PathError(this.#path, `is reached by a link ("${name}") that another user can have made`);
      }
      this.#owned.add(rest.length);
    }
    this.#names = [...namesOf(target), ...rest];
    if (!target.startsWith('/')) return;
    closeSync(this.#fd);
    this.#fd = openRoot();
    this.#here = fstatSync(this.#fd);
  }

  /** A link of root's or ours in a sticky folder (a volume of secrets): nobody else can put another name in its place. */
  #isFixed(at: string): boolean {
    if ((this.#here.mode & 0o1000) === 0 || (this.#here.uid !== 0 && this.#here.uid !== selfUid())) return false;
    const { uid } = lstatSync(at);
    return uid === 0 || uid === selfUid();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const isLink = (at: string): boolean => lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/** An error whose text has the path instead of the descriptor that stands for its folder. */
export function named(error: unknown, path: string): unknown {
  if (error instanceof Error) error.message = error.message.replace(/'\/proc\/self\/fd\/\d+[^']*'/, `'${path}'`);
  return error;
}

async function walking<T>(path: string, by: Rights | null, work: (walk: Walk) => Promise<T>): Promise<T> {
  const walk = new Walk(path, by);
  try {
    return await work(walk);
  } catch (error) {
    throw named(error, path);
  } finally {
    walk.close();
  }
}

/**
 * Works on a name.
 *
 * @param last `follow`: a trusted link in its place is followed; `keep`: it is the link itself that is meant.
 * @param by who has named the path, when that is somebody whose rights bound what is done; null: we ourselves.
 */
export async function atPlace<T>(
  path: string,
  last: 'follow' | 'keep',
  work: (place: Place) => Promise<T>,
  by: Rights | null = null,
): Promise<T> {
  const whole = resolve(path);
  if (!isRoot()) return work({ path, at: whole, folder: dirname(whole), rights: null });
  return walking(whole, by, (walk) => {
    const name = walk.go(last);
    const folder = `/proc/self/fd/${walk.fd}`;
    return work({ path, at: `${folder}/${name}`, folder, rights: walk.rights });
  });
}

/** Works in a folder. @param by as for `atPlace` */
export async function inFolder<T>(
  path: string,
  work: (folder: OpenFolder) => Promise<T>,
  by: Rights | null = null,
): Promise<T> {
  const whole = resolve(path);
  if (!isRoot()) return work({ path, at: whole, rights: null });
  return walking(whole, by, (walk) => {
    walk.go('enter');
    return work({ path, at: `/proc/self/fd/${walk.fd}`, rights: walk.rights });
  });
}

/** Where a folder really is. @throws PathError when a link of somebody else's leads to another user's; system errors */
export async function realFolder(path: string): Promise<string> {
  return inFolder(path, async ({ at }) => realpathSync(at));
}

/**
 * The first folder on the way to a path in which another user could put something else in the place of what is there; null when there is
 * none. Folders of everybody where nobody can touch what belongs to others (`/tmp`) are none. What does not exist yet is passed over.
 */
export function exchangeableAbove(path: string): string | null {
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    const found = statSync(folder, { throwIfNoEntry: false });
    const rights = found === undefined ? null : rightsIn(found);
    const isSticky = ((found?.mode ?? 0) & 0o1000) !== 0;
    if (rights !== null && (rights.uid !== anybody || !isSticky)) return folder;
    if (folder === dirname(folder)) return null;
  }
}
