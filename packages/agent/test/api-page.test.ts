// Goal: docs/api.md names every path of the API, and no other. Method: the page's tables beside the API's own document.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { openApiDocument } from '../src/index.ts';

const page = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');
const documentSchema = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

test('the page has the paths of the API', () => {
  const { paths } = documentSchema.parse(openApiDocument());
  const served = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const firstCells = [...page.matchAll(/^\| (`.*?) \|/gm)].map(([, cell = '']) => cell);
  const named = firstCells.flatMap((cell) =>
    [...cell.matchAll(/`(?:([A-Z]+) )?(\/[^`]*)`/g)].map(([, method = 'GET', path]) => `${method} ${path}`),
  );
  // The document does not describe itself.
  assert.deepEqual(named.toSorted(), [...served, 'GET /openapi.json'].toSorted());
});
