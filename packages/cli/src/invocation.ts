import { fileURLToPath } from 'node:url';
import type { Io } from './output/io.ts';

/** How this command is run again by itself: for agents, and for `up --detach`. `main` lies beside this file, as source or compiled. */
export const ownCommand: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url)),
];

/** How a person who started this process would type the command: in a checkout it is not on the PATH, npx finds it. */
export function typedCommand(env: Io['env']): string {
  return env.npm_command === undefined && env.npm_lifecycle_event === undefined ? 'understudy' : 'npx understudy';
}

/**
 * Options as they would be typed, to hand them to another process.
 *
 * @param without names, as the parser writes them, of options that are not to be handed on
 */
export function asArguments(options: Readonly<Record<string, unknown>>, without: readonly string[]): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (without.includes(name) || value === undefined || value === false) return [];
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === true) return [flag];
    return Array.isArray(value) ? value.flatMap((each) => [flag, String(each)]) : [flag, String(value)];
  });
}
