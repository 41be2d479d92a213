import { debianPins } from './debian-pins.ts';
import type { DebianRecipe } from './recipe.ts';

/** A package that an index offers. */
export interface OfferedPackage {
  readonly package: string;
  readonly version: string;
  /** SHA-256 of the archive, in hexadecimal digits, as the signed index says. */
  readonly sha256: string;
}

/** What this version of Understudy was tested with: by package, `version sha256`. */
export type Pins = Readonly<Record<string, string>>;

export const pins: Readonly<Record<DebianRecipe['suite'], Pins>> = debianPins;

/** What is thought of the offered packages of one recipe. */
export type Verdict =
  | { readonly kind: 'as-tested' }
  /** The archive has gone on: taken, and said. */
  | { readonly kind: 'newer'; readonly packages: readonly OfferedPackage[] }
  | { readonly kind: 'refused'; readonly problem: string };

/**
 * Compares what an index offers with what was tested. The signature alone does not say that an index is of today: one of last year, with
 * the holes of last year, has a good signature too.
 *
 * @param isOlder by Debian's rules, whether the first version is older than the second
 */
export async function judgePackages(
  offered: readonly OfferedPackage[],
  known: Pins,
  isOlder: (one: string, other: string) => Promise<boolean>,
): Promise<Verdict> {
  const newer: OfferedPackage[] = [];
  for (const each of offered) {
    const [version, sha256] = known[each.package]?.split(' ') ?? [];
    if (version === undefined) {
      const problem = `${each.package} is not on the list of what this version of Understudy was tested with`;
      return { kind: 'refused', problem };
    }
    if (each.version === version) {
      if (each.sha256 === sha256) continue;
      const problem = `${each.package} ${version} is not the archive that this version of Understudy was tested with (its SHA-256 differs)`;
      return { kind: 'refused', problem };
    }
    if (await isOlder(each.version, version)) {
      const problem = `the index offers ${each.package} ${each.version}, older than the tested ${version}: it is an index of the past`;
      return { kind: 'refused', problem };
    }
    newer.push(each);
  }
  return newer.length === 0 ? { kind: 'as-tested' } : { kind: 'newer', packages: newer };
}

/** Reads the lines of `apt-get download --print-uris`: `'ADDRESS' FILE SIZE SHA256:DIGEST`. */
export function offeredPackages(text: string): OfferedPackage[] {
  return text.split('\n').flatMap((line) => {
    const [, file, sha256] = /^'[^']*' (\S+\.deb) \d+ SHA256:([0-9a-f]{64})$/.exec(line.trim()) ?? [];
    const [name, version] = file?.split('_') ?? [];
    if (name === undefined || version === undefined || sha256 === undefined) return [];
    return [{ package: name, version: decodeURIComponent(version), sha256 }];
  });
}
