import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFiles } from './files.ts';
import { withoutComments } from './import-lines.ts';
import type { CheckResult } from './result.ts';

/** Who may write to this process's output, and why nothing foreign gets to a terminal raw there. */
const writers: Readonly<Record<string, string>> = {
  'packages/cli/src/output/io.ts': 'the one place of the command',
  'packages/servers/src/main.ts': 'everything goes through `visible`',
  'packages/store/src/listener.ts': 'goes through `visible`',
  'packages/agent/src/guard/main.ts': 'a fixed text',
  'packages/drill/src/bench/terminal.ts': 'everything goes through `visible`',
  'packages/sim/src/main.ts': 'a tool of development: nothing in it comes from a server or a network',
  'packages/sim/src/cli/search.ts': 'the same',
};

const ways = /\bprocess\s*\.\s*(?:stdout|stderr|emitWarning)\b|\bconsole\s*\.|\bstdio:\s*'inherit'/;
/** The editor of `config edit` draws on the terminal itself. */
const editor = 'packages/cli/src/commands/config-edit.ts';

/** Checks that no source writes to the terminal around `packages/cli/src/output`, which makes what others wrote harmless. */
export async function checkTerminal(root: string): Promise<CheckResult> {
  const files = projectFiles(root).filter((file) => /^packages\/[^/]+\/src\/.*\.ts$/.test(file));
  const problems = files.flatMap((file) => terminalProblems(file, readFileSync(join(root, file), 'utf8')));
  const gone = Object.keys(writers).filter((file) => !files.includes(file));
  return {
    problems: [...problems, ...gone.map((file) => `${file} is gone: take it off tools/check/terminal.ts.`)],
    notes: [],
  };
}

/** Every line of a source that goes around that place. */
export function terminalProblems(file: string, text: string): string[] {
  if (Object.hasOwn(writers, file) || file === editor) return [];
  return withoutComments(text)
    .split('\n')
    .flatMap((line) =>
      ways.test(line)
        ? [`${file} writes to the terminal itself: "${line.trim()}". Use the context's print, note or io.`]
        : [],
    );
}
