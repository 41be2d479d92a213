// Goal: what servers, members and data say never steers the operator's terminal. Method: hostile strings as names, warnings, reasons,
// errors and cells through everything that draws; what would go to the terminal is searched for escapes that are not ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemberView } from '@understudy/agent/client';
import { type Context, note, print, printJson, printJsonLine } from '../src/context.ts';
import { CliError } from '../src/errors.ts';
import { failureOf } from '../src/failure.ts';
import { toTerminal } from '../src/output/escapes.ts';
import type { Sink } from '../src/output/io.ts';
import { fullScreen, liveLines } from '../src/output/screen.ts';
import { COLOURED, visibleWidth } from '../src/output/style.ts';
import { table } from '../src/output/table.ts';
import { renderStatus } from '../src/render/status.ts';
import { reportFailure } from '../src/report.ts';
import { leading, member, status } from './support/views.ts';

const hostile = [
  'r\u001b]0;pwned\u0007',
  '\u001b[2J\u001b[1;1H● n1 leader',
  '\u001b[8mhidden\u001b[0m',
  '\u009b31mred',
  'bad\rgood',
  'a\nwarning: b',
  'abc\u202edef\u2066',
  'n\u200b1\u{e0041}',
  '\u001b{0:[2J}',
  `\u001b{${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}:[2J}`,
];

/** A terminal that keeps what it would get. */
function terminal(): Sink & { readonly sent: () => string } {
  let sent = '';
  return {
    isTTY: true,
    columns: () => 60,
    rows: () => 40,
    write: (text) => {
      sent += toTerminal(text);
    },
    onResize: () => () => undefined,
    sent: () => sent,
  };
}

function contextOn(sink: Sink, format: Context['format'] = 'text'): Context {
  const io: Context['io'] = {
    out: sink,
    err: sink,
    input: process.stdin,
    ask: async () => '',
    env: {},
    outliveReader: () => undefined,
  };
  return { io, format, style: COLOURED, errStyle: COLOURED, interruption: () => new AbortController().signal };
}

/** Our own: colours, cursor, clearing, the other screen. */
const escapeCharacter = '\u001b';
const own = new RegExp(`${escapeCharacter}\\[(?:(?:1|2|22|31|32|33|36|39)m|H|K|J|1G|\\d+A|\\?25[hl]|\\?1049[hl])`, 'g');

function assertClean(sent: string, told: string): void {
  const rest = sent.replace(own, '');
  assert.doesNotMatch(rest, /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/u, JSON.stringify(told));
}

/** Every text of a value replaced: a member may say anything wherever a text is expected. */
function poisoned<T>(value: T, text: string, keep: readonly string[]): T {
  const walk = (each: unknown, key: string): unknown => {
    if (typeof each === 'string') return keep.includes(key) ? each : `${each}${text}`;
    if (Array.isArray(each)) return each.map((one) => walk(one, key));
    if (typeof each !== 'object' || each === null) return each;
    return Object.fromEntries(Object.entries(each).map(([name, one]) => [name, walk(one, name)]));
  };
  return walk(value, '') as T;
}

const kinds = ['kind', 'engine', 'phase', 'role', 'state', 'durability', 'result'];

for (const text of hostile) {
  test(`${JSON.stringify(text)}: in names, warnings and reasons of a status`, () => {
    const view = poisoned(status({ members: [leading('n1'), member('n2')], warnings: ['role'] }), text, kinds);
    const sink = terminal();
    print(contextOn(sink), renderStatus(view, { style: COLOURED, width: 60 }));
    assertClean(sink.sent(), text);
    const lines = sink.sent().replace(own, '').split('\n');
    assert.equal(lines.filter((line) => line.startsWith('warning: ')).length, 1);
    assert.equal(lines.filter((line) => /^[●◐○] /.test(line)).length, 2);
  });

  test(`${JSON.stringify(text)}: in errors and their next step, as text and as JSON`, () => {
    for (const format of ['text', 'json'] as const) {
      const sink = terminal();
      const error = new CliError('REQUEST_FAILED', `${text}: it failed`, { next: `do ${text}` });
      const context = contextOn(sink, format);
      reportFailure(context.io, COLOURED, failureOf(error), { format, debug: 'on', error });
      assertClean(sink.sent(), text);
    }
  });

  test(`${JSON.stringify(text)}: in tables, remarks, moving lines and on the whole screen`, () => {
    const sink = terminal();
    const context = contextOn(sink);
    const column = { title: text, dropOrder: 'never', cell: (row: string) => COLOURED.red(row) } as const;
    for (const width of [5, 60]) {
      const drawn = table([column, column], [text], width);
      print(context, drawn);
      for (const line of drawn) assert.ok(!line.includes('\n'));
    }
    note(context, text);
    const live = liveLines(sink);
    live.show([text]);
    live.clear();
    const screen = fullScreen(sink, () => [text, COLOURED.bold(text)]);
    screen.redraw();
    screen.close();
    assertClean(sink.sent(), text);
  });

  test(`${JSON.stringify(text)}: JSON says the same value`, () => {
    for (const put of [printJson, printJsonLine]) {
      const sink = terminal();
      put(contextOn(sink, 'json'), { name: text });
      assertClean(sink.sent(), text);
      assert.deepEqual(JSON.parse(sink.sent()), { name: text });
    }
  });
}

test('a line is as wide as it is shown, so that a table with hostile cells keeps its columns', () => {
  const rows: readonly Pick<MemberView, 'id'>[] = [...hostile.map((id) => ({ id })), { id: 'n1' }];
  const columns = [
    { title: 'A', dropOrder: 'never', cell: ({ id }: (typeof rows)[number]) => COLOURED.green(id) },
    { title: 'B', dropOrder: 'never', cell: () => '|' },
  ] as const;
  const lines = table(columns, rows, 200).map((line) => toTerminal(line).replace(own, ''));
  const places = lines.slice(1).map((line) => [...line].indexOf('|'));
  assert.deepEqual(new Set(places).size, 1, lines.join('\n'));
  assert.equal(visibleWidth(COLOURED.red('\u001b')), 4);
});
