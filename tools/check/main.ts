import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checks } from './checks.ts';

// `npm run check [-- NAME…]`: the checks alone, without tests. Exit code 1 when one of them finds a problem.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const filters = process.argv.slice(2);
let failed = 0;

for (const { name, run } of checks) {
  if (filters.length > 0 && !filters.some((filter) => name.includes(filter))) continue;
  const { problems, notes } = await run(root).catch((error: unknown) => ({
    problems: [error instanceof Error ? error.message : String(error)],
    notes: [],
  }));
  process.stdout.write(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name}\n`);
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  for (const note of notes) process.stdout.write(`     note: ${note}\n`);
  if (problems.length > 0) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
