import { type DebianRecipe, debianLibraryFolders, type Recipe } from './recipe.ts';
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
