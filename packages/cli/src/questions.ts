import type { Context } from './context.ts';
import { CliError } from './errors.ts';

/**
 * Says what is about to happen and lets the person type a name, so that a hasty Enter does nothing.
 *
 * @param flag the option that answers beforehand, for scripts
 * @throws CliError `NOT_CONFIRMED` when something else is typed, or nobody can be asked
 */
export async function confirmByTyping(context: Context, text: string, expected: string, flag: string): Promise<void> {
  refuseWithoutPerson(context, text, flag);
  context.io.err.write(`${text}\n`);
  const answer = await ask(context, `Type ${context.errStyle.bold(expected)} to go on: `);
  if (answer === expected) return;
  const typed = answer === '' ? 'Nothing was typed' : `"${answer}" was typed, not "${expected}"`;
  throw new CliError('NOT_CONFIRMED', `${typed}; nothing was changed.`);
}

/** Asks a yes-or-no question; anything but yes is no. */
export async function confirm(context: Context, question: string, flag: string): Promise<'yes' | 'no'> {
  refuseWithoutPerson(context, question, flag);
  return /^y(es)?$/i.test(await ask(context, `${question} [y/N] `)) ? 'yes' : 'no';
}

function refuseWithoutPerson(context: Context, text: string, flag: string): void {
  if (context.io.input.isTTY === true && context.format === 'text') return;
  const message = `${text} There is no terminal to ask on, so nothing was changed.`;
  throw new CliError('NOT_CONFIRMED', message, { next: `Run it on a terminal, or confirm with ${flag}.` });
}

async function ask(context: Context, prompt: string): Promise<string> {
  try {
    return (await context.io.ask(prompt, context.interruption())).trim();
  } catch {
    context.io.err.write('\n');
    throw new CliError('INTERRUPTED', 'Interrupted; nothing was changed.');
  }
}
