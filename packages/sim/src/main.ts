import { HELP, parseOptions } from './cli/args.ts';
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
      for (const { name, description, withinSeeds } of MUTANTS) {
        process.stdout.write(`${name.padEnd(28)} ${description} (found within ${withinSeeds} seeds)\n`);
      }
      return 0;
    case 'wrong':
      process.stderr.write(`${parsed.message}\n\n${HELP}`);
      return 2;
    case 'run': {
      if (parsed.options.mutant !== null) installMutant(mutantNamed(parsed.options.mutant));
      // Loaded only now, so that a mutant takes effect.
      const { search } = await import('./cli/search.ts');
      return search(parsed.options);
    }
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
