/** What one package's sources may import of ours, besides themselves (`docs/development.md`, checks). */
export interface PackageRule {
  readonly may: readonly string[];
  /** For code that must be a pure value: neither node:* modules nor anything from npm, and of `base` the brands alone. */
  readonly isPure?: boolean;
  /** Folders of a pure package, below `src`, that load what its values are handed: an entry point of their own, imported by no other source of it. */
  readonly impure?: readonly string[];
  /**
   * For code that works in the folders of a server, which belong to another user: only these of its sources may use `node:fs` themselves (for
   * programs, `/proc`, types). All others go through `@understudy/engine/host`, which follows no link of that user's.
   */
  readonly ownFiles?: readonly string[];
  /** Entry points that are not published: they are for tests, of this package and of others. */
  readonly forTests?: readonly string[];
}

/** Everything that is not a package of its own (tools, tests, examples) is on top and may import any of them. */
export const rules: Readonly<Record<string, PackageRule>> = {
  base: { may: [] },
  core: { may: ['base'], isPure: true },
  wire: { may: [] },
  servers: { may: ['core', 'base'] },
  certs: { may: ['base'] },
  store: { may: ['core', 'base'] },
  engine: { may: ['core', 'base'], forTests: ['conformance', 'rogue'] },
  routing: { may: ['core', 'base'], isPure: true, impure: ['runtime'] },
  sim: { may: ['core', 'base'] },
  postgres: {
    may: ['engine', 'core', 'servers', 'base'],
    ownFiles: ['index.ts', 'disk/unfinished-timeline.ts', 'clone/unpacked-file.ts'],
  },
  mysql: {
    may: ['engine', 'core', 'servers', 'base'],
    ownFiles: ['programs.ts', 'disk/template.ts'],
  },
  agent: { may: ['store', 'engine', 'core', 'base'] },
  router: { may: ['routing', 'wire', 'agent', 'core', 'base'] },
  client: { may: ['routing', 'core'] },
  dashboard: { may: [] },
  pair: {
    may: ['local', 'mysql', 'engine', 'servers', 'core', 'base'],
    // In the pair's own folder, or of an operator.
    ownFiles: [
      'circular/late-rows.ts',
      'circular/pair.ts',
      'conflicts/record.ts',
      'control/server.ts',
      'offset/server.ts',
      'offset/setup.ts',
    ],
  },
  local: { may: ['agent', 'store', 'engine', 'servers', 'certs', 'core', 'base'] },
  drill: {
    may: ['local', 'agent', 'postgres', 'mysql', 'engine', 'store', 'servers', 'core', 'client', 'wire', 'base'],
  },
  cli: {
    may: [
      'drill',
      'local',
      'pair',
      'agent',
      'postgres',
      'mysql',
      'engine',
      'store',
      'servers',
      'certs',
      'sim',
      'core',
      'router',
      'dashboard',
      'client',
      'base',
    ],
  },
};

/** Tests may also use the servers and the packages that their subject is completed with. */
export const testsMayAlso: Readonly<Record<string, readonly string[]>> = {
  store: ['servers'],
  routing: ['servers'],
  postgres: ['certs'],
  mysql: ['certs'],
  engine: ['servers'],
  agent: ['servers', 'certs', 'postgres', 'mysql'],
  router: ['servers', 'local'],
  client: ['servers'],
};
