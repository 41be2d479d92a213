import { type Owner, readIfThere, replaceFile } from '@understudy/engine/host';
import { z } from 'zod';
import type { Parameters } from './file.ts';

const schema = z.record(z.string(), z.string());

/** Parameters that a server was not seen to start with: which of them are left out, and in favour of which. */
export class ParameterTrial {
  readonly #file: string;
  readonly #owner: Owner;
  /** Those of the last start that succeeded. */
  #good: Parameters | null = null;
  /** Names with the values that the program itself refused, and its words. */
  #refused: ReadonlyMap<string, { readonly value: string; readonly words: string }> = new Map();
  /** The server did not start with what was asked for then. */
  #blamed: { readonly asked: string; readonly names: readonly string[]; readonly words: string } | null = null;

  constructor(file: string, owner: Owner) {
    this.#file = file;
    this.#owner = owner;
  }

  async load(): Promise<void> {
    if (this.#good !== null) return;
    try {
      const parsed = schema.safeParse(JSON.parse((await readIfThere(this.#file)) ?? 'null'));
      this.#good = parsed.success ? parsed.data : null;
    } catch {
      this.#good = null;
    }
  }

  isProven(wanted: Parameters): boolean {
    return this.#good !== null && keyOf(this.#good) === keyOf(wanted);
  }

  async proven(started: Parameters): Promise<void> {
    if (this.isProven(started)) return;
    this.#good = started;
    await replaceFile(this.#file, `${JSON.stringify(started)}\n`, this.#owner);
  }

  /** Those that the program itself would not take, by a dry run. */
  refuse(wanted: Parameters, bad: Readonly<Record<string, string>>): void {
    const refused = new Map(this.#refused);
    for (const [name, words] of Object.entries(bad)) refused.set(name, { value: wanted[name] ?? '', words });
    this.#refused = refused;
  }

  /** @returns `other`: what the server last ran with is something else, and is used until something else is asked for. */
  blame(asked: Parameters, started: Parameters, words: string): 'other' | 'same' {
    const good = this.#good;
    if (good === null || keyOf(good) === keyOf(started)) return 'same';
    const names = [...new Set([...Object.keys(good), ...Object.keys(started)])];
    const changed = names.filter((name) => good[name] !== started[name]);
    this.#blamed = { asked: keyOf(asked), names: changed, words };
    return 'other';
  }

  /** What is asked for without what a server would not start with. */
  allowed(asked: Parameters): Parameters {
    const kept = Object.entries(asked).filter(([name, value]) => this.#refused.get(name)?.value !== value);
    const allowed = Object.fromEntries(kept);
    const good = this.#good;
    if (this.#blamed?.asked !== keyOf(asked) || good === null) return allowed;
    for (const name of this.#blamed.names) {
      const value = good[name];
      if (value === undefined) delete allowed[name];
      else allowed[name] = value;
    }
    return allowed;
  }

  warnings(asked: Parameters): readonly string[] {
    const refused = [...this.#refused].filter(([name, { value }]) => asked[name] === value);
    const texts = refused.map(
      ([name, { value, words }]) =>
        `The parameter ${name} = ${value} is left out: the server would not start with it (${words}). Correct it.`,
    );
    if (this.#blamed?.asked !== keyOf(asked)) return texts;
    const { names, words } = this.#blamed;
    const text = `The server did not start with what was changed of ${names.join(', ')}, and runs with the values before: ${words}`;
    return [...texts, `${text} Correct them.`];
  }
}

const keyOf = (parameters: Parameters): string => JSON.stringify(Object.entries(parameters).sort());
