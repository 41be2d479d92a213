/**
 * Mutation testing of the protocol: each deliberately wrong variant must be found within its stated number of seeds. What is not found
 * shows where the simulator is blind.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { applyEdit } from '../src/mutants/mutant.ts';
import { MUTANTS } from '../src/mutants/mutants.ts';
import { runMain } from './support/run-main.ts';

const source = (file: string): string => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8');

for (const mutant of MUTANTS) {
  test(`${mutant.name}: every place that it changes is in the source exactly once`, () => {
    for (const edit of mutant.edits) {
      const changed = applyEdit(mutant, edit, source(edit.file));
      assert.notEqual(changed, source(edit.file));
    }
  });

  test(`${mutant.name} is found within ${mutant.hunt.withinSeeds} seeds`, async (context) => {
    const args = ['--mutant', mutant.name, '--seeds', String(mutant.hunt.withinSeeds), '--stop', '--json'];
    const { code, output, errors } = await runMain(args, context.signal);
    assert.equal(code, 1, `${mutant.description} Not found. ${errors}`);
    assert.ok(JSON.parse(output).violations.length > 0);
  });
}
