import { registerHooks } from 'node:module';
import { type Mutant, mutate } from './mutant.ts';

/** From now on, loads the mutant's file in its wrong form. Modules that are loaded already stay as they are. */
export function installMutant(mutant: Mutant): void {
  const ending = `/packages/${mutant.file}`;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(ending)) return loaded;
      if (loaded.source === undefined || loaded.source === null) {
        throw new Error(`Mutant ${mutant.name}: the source of ${mutant.file} was not loaded as text.`);
      }
      const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
      return { ...loaded, source: mutate(mutant, text) };
    },
  });
}
