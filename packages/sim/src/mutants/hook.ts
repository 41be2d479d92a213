import { registerHooks } from 'node:module';
import { applyEdit, type Mutant } from './mutant.ts';

/** From now on, loads the mutant's files in their wrong form. Modules that are loaded already stay as they are. */
export function installMutant(mutant: Mutant): void {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const edits = mutant.edits.filter((edit) => url.endsWith(`/packages/${edit.file}`));
      if (edits.length === 0) return loaded;
      if (loaded.source === undefined || loaded.source === null) {
        throw new Error(`Mutant ${mutant.name}: the source of ${url} was not loaded as text.`);
      }
      const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
      return { ...loaded, source: edits.reduce((source, edit) => applyEdit(mutant, edit, source), text) };
    },
  });
}
