import {
  cleanEnvironment,
  type ProgramOptions as HostOptions,
  lastLines,
  runProgram as run,
} from '@understudy/engine/host';

export type ProgramOptions = Omit<HostOptions, 'environment'> & {
  readonly libraryPath: string | undefined;
  /** Beside the environment of the server. */
  readonly env?: Readonly<Record<string, string>>;
};

/** The environment of the server and its tools. */
export const serverEnvironment = (home: string, libraryPath: string | undefined): Record<string, string> =>
  cleanEnvironment(home, libraryPath, 'C.UTF-8');

/** As the host's, in the server's environment. */
export const runProgram = (
  program: string,
  args: readonly string[],
  { env, libraryPath, ...options }: ProgramOptions,
) => run(program, args, { ...options, environment: { ...serverEnvironment(options.home, libraryPath), ...env } });

/** The last lines of a program's output as one line. */
export const tail = (output: string): string => lastLines(output);
