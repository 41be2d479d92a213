import { type DebianRecipe, debianLibraryFolders, type Recipe, words } from './recipe.ts';
import { mysqlRecipes } from './recipes-mysql.ts';
import { postgresRecipes, postgresToolRecipes } from './recipes-postgres.ts';

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

const otherRecipes = {
  'etcd-3.4': etcd('bookworm', 18),
  'etcd-3.5': etcd('trixie', 21),
  /** What an administrator of etcd types; the guide's commands are run with it. */
  etcdctl: {
    kind: 'debian',
    suite: 'trixie',
    packages: ['etcd-client'],
    libraries: { kind: 'none' },
    remove: [],
    downloadMb: 6,
    probe: { program: 'usr/bin/etcdctl', args: ['version'], pattern: /etcdctl version: (\S+)/ },
  },
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
  /** To be compared with: `npm run bench:router`. */
  pgbouncer: {
    kind: 'debian',
    suite: 'bookworm',
    packages:
      words(`pgbouncer libc-ares2 libevent-2.1-7 libpam0g libaudit1 libcap-ng0 libssl3 libsystemd0 libcap2 libgcrypt20
      libgpg-error0 liblz4-1 liblzma5 libzstd1`),
    libraries: { kind: 'environment', folders: debianLibraryFolders },
    remove: [],
    downloadMb: 3,
    probe: { program: 'usr/sbin/pgbouncer', args: ['--version'], pattern: /PgBouncer (\S+)/ },
  },
  /** With the interpreter of its release: its compiled modules fit no other one, and a machine need not have any. */
  patroni: {
    kind: 'debian',
    suite: 'bookworm',
    packages: words(`patroni python3-dateutil python3-six python3-psutil python3-urllib3 python3-yaml python3-psycopg2
      python3-etcd python3-dnspython python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1
      libexpat1 zlib1g libssl3 libffi8 libuuid1 liblzma5 libbz2-1.0 libcrypt1 libyaml-0-2 libpq5 libgssapi-krb5-2 libkrb5-3
      libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 libldap-2.5-0 libsasl2-2 libgnutls30 libp11-kit0 libidn2-0
      libunistring2 libtasn1-6 libnettle8 libhogweed6 libgmp10`),
    libraries: {
      kind: 'own-loader',
      loader: 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
      folders: debianLibraryFolders,
      programFolders: ['usr/bin'],
    },
    remove: ['doc', 'man', 'lintian', 'locale', 'info', 'bug'].map((name) => `usr/share/${name}`),
    downloadMb: 16,
    probe: { program: 'usr/bin/python3.11', args: ['-I', '-m', 'patroni', '--version'], pattern: /py (\S+)/ },
  },
} as const satisfies Readonly<Record<string, DebianRecipe>>;

const table = { ...postgresRecipes, ...postgresToolRecipes, ...otherRecipes, ...mysqlRecipes };

/** Names what can be fetched: `postgres-18`, `etcd-3.5`, …. */
export type ServerName = keyof typeof table;

/**
 * What can be fetched, and how. Versions from npm are exact and carry the digest of the archive; Debian's packages are
 * taken as the suite has them, verified by apt with the keys that the machine already trusts.
 */
export const recipes: Readonly<Record<ServerName, Recipe>> = table;

/** The recipe names, in the order in which `list` prints them. */
export const serverNames = Object.keys(recipes).filter(isServerName);

/** True when there is a recipe of that name. */
export function isServerName(name: string): name is ServerName {
  return Object.hasOwn(recipes, name);
}
