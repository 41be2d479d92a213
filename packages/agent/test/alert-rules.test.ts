// Goal: the alert rules name metrics that exist, and pages that help. Method: the file beside docs/metrics.md, whose names the
// metrics themselves are compared with here too.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';

const root = new URL('../../../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const rulesSchema = z.object({
  groups: z.array(
    z.object({
      rules: z.array(z.object({ alert: z.string(), expr: z.string(), annotations: z.object({ runbook: z.string() }) })),
    }),
  ),
});
const rules = rulesSchema
  .parse(parse(text('docs/prometheus/understudy-rules.yaml')))
  .groups.flatMap((group) => group.rules);
const page = text('docs/metrics.md');
const source = text('packages/agent/src/api/metrics.ts');

test('every metric of a rule is documented and exported', () => {
  const named = rules.flatMap(({ expr }) => [...expr.matchAll(/\b(?:patroni|understudy)_\w+/g)].map(([name]) => name));
  assert.ok(named.length >= rules.length);
  for (const name of named) {
    assert.ok(page.includes(`\`${name}`), `${name} is not in docs/metrics.md`);
    assert.ok(source.includes(name), `${name} is not exported`);
  }
});

test('every rule is listed on the page, and leads to a page that exists', () => {
  for (const { alert, annotations } of rules) {
    assert.ok(page.includes(`\`${alert}\``), alert);
    assert.ok(existsSync(new URL(annotations.runbook.replace(/#.*/, ''), root)), annotations.runbook);
  }
});
