// Goal: every `understudy …` that a page of ours shows exists. Method: each such line of every page is read by the real command tree.
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type Command, CommanderError } from 'commander';
import { PLAIN } from '../src/output/style.ts';
import { buildProgram } from '../src/program.ts';
import { checkout } from './support/pages.ts';

const silent = {
  isTTY: false,
  columns: () => 100,
  rows: () => 50,
  write: () => undefined,
  onResize: () => () => undefined,
};

/** A tree whose commands do nothing but be found. */
function program(): Command {
  const io = {
    out: silent,
    err: silent,
    input: process.stdin,
    env: {},
    ask: async () => '',
    outliveReader: () => undefined,
  };
  const interruption = (): AbortSignal => new AbortController().signal;
  const built = buildProgram({ io, format: 'text', style: PLAIN, errStyle: PLAIN, interruption }, () => undefined);
  const disarm = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => undefined);
    for (const each of command.commands) disarm(each);
  };
  disarm(built);
  return built;
}

/** What follows `understudy` in a line of a shell, up to a pipe, a comment or the end; quoted words are taken whole. */
function commandsIn(text: string): string[] {
  const code = [...text.matchAll(/^```(?:sh|bash|)\n([\s\S]*?)^```/gm)].map(([, body = '']) => body);
  const indented = [...text.matchAll(/^ {4}(?=\S)(.*)$/gm)].map(([, line = '']) => line);
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].map(([, body = '']) => body);
  return [...code.flatMap((body) => body.split('\n')), ...indented, ...inline].flatMap((line) =>
    [...line.matchAll(/(?:^|[\s(])(?:npx )?understudy ([a-z](?:"[^"]*"|'[^']*'|[^|#;&>)"'])*)/g)].map(([, rest = '']) =>
      rest.replaceAll(/`+$/g, '').trim(),
    ),
  );
}

/** Places for the reader's own words are no words of the command. */
const isPattern = (line: string): boolean => /…|\.\.\.|[a-z]\|[a-z]|\[/.test(line);

for (const page of ['README.md', ...globSync('docs/*.md', { cwd: checkout })].toSorted()) {
  test(`commands shown in ${page} exist, with their options`, async () => {
    const text = await readFile(`${checkout}${page}`, 'utf8').catch(() => '');
    for (const line of commandsIn(text).filter((each) => !isPattern(each))) {
      const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '');
      const problem = await program()
        .parseAsync(words, { from: 'user' })
        // Showing help is a success that the parser reports by throwing.
        .then(
          () => null,
          (error: unknown) => (error instanceof CommanderError && error.exitCode === 0 ? null : error),
        );
      assert.equal(problem, null, `${page}: understudy ${line}: ${problem}`);
    }
  });
}
