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

/** Where Debian's libraries lie in an unpacked tree; older releases still use the second folder. */
export const debianLibraryFolders: readonly string[] = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'];

/** The names of a list that is written over several lines. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
