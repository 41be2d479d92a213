import {
  cleanEnvironment,
  type ProgramOptions as HostOptions,
  lastLines,
  runProgram as run,
  spawnProgram as spawn,
} from '@understudy/engine/host';

export type ProgramOptions = Omit<HostOptions, 'environment'> & { readonly libraryPath: string | undefined };

/** The environment of the server and its tools. */
export const serverEnvironment = (home: string, libraryPath: string | undefined): Record<string, string> =>
  cleanEnvironment(home, libraryPath, 'C');

/** As the host's, in the server's environment. */
export const runProgram = (program: string, args: readonly string[], options: ProgramOptions) =>
  run(program, args, { ...options, environment: serverEnvironment(options.home, options.libraryPath) });

/** As the host's, in the server's environment. */
export const spawnProgram = (
  program: string,
  args: readonly string[],
  { home, libraryPath, owner }: Omit<ProgramOptions, 'failure'>,
) => spawn(program, args, { home, owner, environment: serverEnvironment(home, libraryPath) });

/** The lines of an output that tell most (those with an error, else the last ones), as one line for a message. */
export const tail = (output: string): string => lastLines(output, /\berror\b/i);
