import { chown, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAuthority, makeCertificate, type Names } from '@understudy/certs';
import { type MysqlQuestion, mysqlRogue, type Rogue, type RogueCertificate, rogueHost } from '@understudy/engine/rogue';
import { type MysqlServer, serverUser } from '@understudy/servers';
import type { CopyHost } from '../src/clone/copy-job.ts';
import { readCatalog } from '../src/config/catalog.ts';
import { ManagedConfig } from '../src/config/managed.ts';
import { dialectOf } from '../src/dialect/dialect.ts';
import { parseOptions } from '../src/options.ts';
import { pathsOf } from '../src/paths.ts';
import { findPrograms } from '../src/programs.ts';
import { engineInput } from './harness.ts';

export interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What a server can show to those who connect; `null`: it offers no TLS. */
export type Shown = 'right' | 'no TLS' | 'self-signed' | 'another authority' | 'wrong name' | 'a client';

export interface Papers {
  /** A member's own files. */
  readonly ours: Files;
  readonly of: Readonly<Record<Shown, RogueCertificate | null>>;
}

const here: Names = { hosts: [], addresses: ['127.0.0.1', rogueHost] };
const elsewhere: Names = { hosts: ['localhost', 'elsewhere.example'], addresses: ['127.0.0.9'] };

/** Makes below `root` the certificate of a member that is reached at `rogueHost`, and what others may show in its place. */
export async function makePapers(root: string): Promise<Papers> {
  const [own, other] = [join(root, 'ca'), join(root, 'other')];
  await makeAuthority({ folder: own });
  const stranger = await makeAuthority({ folder: other });
  const make = async (name: string, names: Names | null, authority = own): Promise<Files> => {
    const place = { authority, name, prefix: join(root, name) };
    const kind = names === null ? ({ kind: 'client' } as const) : ({ kind: 'node', names } as const);
    const { files } = await makeCertificate({ ...place, ...kind });
    return { ca: join(authority, 'ca.pem'), ...files };
  };
  const ours = await make('n1', here);
  return {
    ours,
    of: {
      right: await texts(ours),
      'no TLS': null,
      'self-signed': await texts(stranger.files),
      'another authority': await texts(await make('foreign', here, other)),
      'wrong name': await texts(await make('n2', elsewhere)),
      'a client': await texts(await make('alice', null)),
    },
  };
}

async function texts({ cert, key }: Pick<Files, 'cert' | 'key'>): Promise<RogueCertificate> {
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}

/** What copies need of a server, without an engine. */
export async function copyHost(server: MysqlServer, root: string, tls: Files): Promise<CopyHost> {
  const options = parseOptions({ ...(await engineInput(server, root, 1)), tls });
  const programs = await findPrograms(options);
  const catalog = await readCatalog(programs, options);
  const paths = pathsOf(options);
  const config = new ManagedConfig(options, paths, programs, catalog);
  return { options, paths, owner: options.runAs, programs, config, dialect: dialectOf(catalog, programs.version) };
}

/** A rogue that says it is of the same kind as `server`. */
export function rogueLike(server: MysqlServer, tls: RogueCertificate | null, asks: MysqlQuestion): Promise<Rogue> {
  const version = server.flavour === 'mysql' ? server.version : `5.5.5-${server.version}-MariaDB`;
  return mysqlRogue({ tls, asks, version });
}

/** Lets the servers' user read a file. */
export async function giveToServer(file: string): Promise<void> {
  const user = serverUser();
  if (user !== null) await chown(file, user.uid, user.gid);
}
