import { type DebianRecipe, debianLibraryFolders, words } from './recipe.ts';

const remove = ['doc', 'man', 'lintian', 'locale', 'info', 'bug'].map((name) => `usr/share/${name}`);
const programFolders = ['usr/sbin', 'usr/bin'];

/** MariaDB with Galera, its backup tool and what its transfer scripts call. */
function mariadb(
  suite: DebianRecipe['suite'],
  loaderFolder: string,
  pattern: RegExp,
  libraries: readonly string[],
): DebianRecipe {
  return {
    kind: 'debian',
    suite,
    packages: [...mariadbPackages, ...libraries],
    libraries: {
      kind: 'own-loader',
      loader: `${loaderFolder}/ld-linux-x86-64.so.2`,
      folders: debianLibraryFolders,
      programFolders,
    },
    remove,
    downloadMb: 45,
    probe: { program: 'usr/sbin/mariadbd', args: ['--no-defaults', '--version'], pattern },
  };
}

/** The programs, and the libraries that have the same name in every Debian release. */
const mariadbPackages =
  words(`mariadb-server-core mariadb-server mariadb-client-core mariadb-client mariadb-backup galera-4
  socat rsync libmariadb3 libc6 libstdc++6 libgcc-s1 zlib1g liblzma5 liblz4-1 libbz2-1.0 libsnappy1v5 libzstd1 libpcre2-8-0
  libsystemd0 libcap2 libgcrypt20 libgpg-error0 libcrypt1 libpam0g libaudit1 libcap-ng0 libtinfo6 libncurses6 libpopt0
  libxxhash0 libacl1 liblzo2-2 libwrap0 libedit2 libbsd0 libmd0 libnuma1 liburing2`);

/** MySQL and MariaDB by the name under which they are fetched. Versions are the suite's; another series is refused. */
export const mysqlRecipes = {
  'mariadb-10.11': mariadb(
    'bookworm',
    'lib/x86_64-linux-gnu',
    /Ver (10\.11\.[0-9.]+)/,
    words(`libssl3 libaio1 libfmt9 libreadline8 libboost-program-options1.74.0 libnsl2 libtirpc3 libgssapi-krb5-2 libkrb5-3
      libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1`),
  ),
  'mariadb-11.8': mariadb(
    'trixie',
    'usr/lib/x86_64-linux-gnu',
    /Ver (11\.8\.[0-9.]+)/,
    words('libssl3t64 libaio1t64 libfmt10 libreadline8t64 libboost-program-options1.83.0'),
  ),
  'mysql-9.7': {
    kind: 'debian',
    suite: 'sid',
    packages: words(`mysql-server-core mysql-client-core libc6 libaio1t64 libicu78 libssl3t64 libstdc++6 libgcc-s1
      libprotobuf-lite32t64 liblz4-1 libzstd1 zlib1g libnuma1 libtirpc3t64 libgoogle-perftools4t64 libunwind8
      libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 liblzma5 libedit2 libtinfo6 libbsd0
      libmd0 libxxhash0`),
    libraries: {
      kind: 'own-loader',
      loader: 'usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
      folders: debianLibraryFolders,
      programFolders,
    },
    remove,
    downloadMb: 60,
    probe: { program: 'usr/sbin/mysqld', args: ['--no-defaults', '--version'], pattern: /Ver (9\.7\.[0-9.]+)/ },
  },
  /** The benchmark of the drill's tour. */
  sysbench: {
    kind: 'debian',
    suite: 'bookworm',
    packages: words(`sysbench libluajit2-5.1-2 libluajit2-5.1-common libmariadb3 libpq5 libaio1 libssl3 zlib1g libzstd1
      libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 libldap-2.5-0 libsasl2-2
      libgnutls30 libgmp10 libhogweed6 libnettle8 libidn2-0 libp11-kit0 libtasn1-6 libunistring2 libffi8 libgcc-s1`),
    libraries: { kind: 'environment', folders: debianLibraryFolders },
    remove,
    downloadMb: 9,
    probe: { program: 'usr/bin/sysbench', args: ['--version'], pattern: /sysbench (\S+)/ },
  },
} as const satisfies Readonly<Record<string, DebianRecipe>>;
