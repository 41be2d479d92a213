import { HELP, parseOptions, type SimOptions } from './cli/args.ts';
import { installMutant } from './mutants/hook.ts';
import { MUTANTS, mutantNamed } from './mutants/mutants.ts';

/** `npm run sim`: the command line of the simulator. */
async function main(args: readonly string[]): Promise<number> {
  const parsed = parseOptions(args);
  switch (parsed.kind) {
    case 'help':
      process.stdout.write(HELP);
      return 0;
    case 'mutants':
      for (const { name, description, hunt } of MUTANTS) {
        process.stdout.write(`${name.padEnd(34)} ${description} (found within ${hunt.withinSeeds} seeds)\n`);
      }
      return 0;
    case 'golden': {
      const { checkTranscripts } = await import('./golden/files.ts');
      const differing = checkTranscripts(parsed.mode);
      const verb = parsed.mode === 'update' ? 'written' : 'differ';
      process.stdout.write(
        `${differing.length} transcripts ${verb}${differing.map((name) => `\n  ${name}`).join('')}\n`,
      );
      return parsed.mode === 'compare' && differing.length > 0 ? 1 : 0;
    }
    case 'wrong':
      process.stderr.write(`${parsed.message}\n\n${HELP}`);
      return 2;
    case 'run': {
      const options = huntingOptions(parsed.options);
      if (options.mutant !== null) installMutant(mutantNamed(options.mutant));
      // Loaded only now, so that a mutant takes effect.
      const { search } = await import('./cli/search.ts');
      return search(options);
    }
  }
}

/** A mutant is looked for where it can be found, unless something else was asked for. */
function huntingOptions(options: SimOptions): SimOptions {
  if (options.mutant === null) return options;
  const { hunt } = mutantNamed(options.mutant);
  return {
    ...options,
    flavour: options.flavour ?? hunt.flavour ?? 'postgres',
    nodes: options.nodes ?? hunt.nodes ?? null,
    durability: options.durability ?? hunt.durability ?? null,
    faults: options.faults ?? hunt.faults ?? null,
    course: hunt.course ?? null,
  };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
