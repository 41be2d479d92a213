/** The one error class, and the tables of codes that packages make of it. */

/**
 * What the caller may do after a failed call:
 * - `safe`: nothing took effect, or it does no harm twice; the same call may be made again;
 * - `unsafe`: nothing took effect, and the same call fails again: something must change first;
 * - `unknown`: it may have taken effect. Look first, then decide.
 */
export type Retry = 'safe' | 'unsafe' | 'unknown';

/** One row of a package's table of errors: the documentation of the code, and what an error has when its thrower says no more. */
export interface ErrorRow {
  /** What the code means, in one sentence. */
  readonly meaning: string;
  readonly retry: Retry;
  /** What a person does next. Empty where there is nothing to do. */
  readonly next: string;
}

export type ErrorTable<Code extends string = string> = Readonly<Record<Code, ErrorRow>>;

export interface ErrorDetails {
  /** Where this case differs from the table. */
  readonly retry?: Retry | undefined;
  /** The next step of this case, which then ends the message. Empty: there is none, whatever the table says. */
  readonly next?: string | undefined;
  readonly cause?: unknown;
}

/** The only error that packages throw on purpose. Its texts hold no secret. */
export class UnderstudyError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly retry: Retry;
  /** What a person does next. Empty where there is nothing to do. */
  readonly next: string;
  // Not a property: a log would show the text twice.
  readonly #problem: string;

  /** @param problem what happened, with the values seen, in whole sentences */
  constructor(table: ErrorTable<Code>, code: Code, problem: string, details: ErrorDetails = {}) {
    const { next, cause } = details;
    super(
      next === undefined || next === '' ? problem : `${problem} ${next}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.retry = details.retry ?? table[code].retry;
    this.next = next ?? table[code].next;
    this.#problem = problem;
  }

  /** What happened, without the next step. `message` has both where the next step is of this case alone. */
  get problem(): string {
    return this.#problem;
  }
}

/** The errors of one package: constructed with a code of its table, recognised with `instanceof`. */
export interface ErrorKind<Code extends string> {
  new (code: Code, problem: string, details?: ErrorDetails): UnderstudyError<Code>;
  readonly table: ErrorTable<Code>;
  /** Whether a text, from another process for example, is a code of the table. */
  isCode(text: string): text is Code;
}

/**
 * Makes a package's errors of its table.
 *
 * @param name as in stack traces: `StoreError`
 */
export function defineErrors<const Code extends string>(name: string, table: ErrorTable<Code>): ErrorKind<Code> {
  class Kind extends UnderstudyError<Code> {
    static readonly table = table;
    static isCode = (text: string): text is Code => Object.hasOwn(table, text);

    constructor(code: Code, problem: string, details?: ErrorDetails) {
      super(table, code, problem, details);
    }
  }
  // On the prototype, so that the stack, which is written while the error is made, begins with it.
  Object.defineProperty(Kind.prototype, 'name', { value: name });
  return Kind;
}

/** The text of anything that was thrown, for use inside another message. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** As `reasonOf`, without the next step that an error of ours ends with: for where that is shown apart, or not at all. */
export const problemOf = (error: unknown): string =>
  error instanceof UnderstudyError ? error.problem : reasonOf(error);

/** The `code` of a system error (`ENOENT`), a driver's or one of ours; null when there is none. */
export function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
