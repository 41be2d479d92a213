/** How many acknowledgements a commit can wait for is a matter of the engine. */

import type { Engine } from '@understudy/engine';

/** Why so many acknowledgements cannot be asked for; null when they can. */
export function tooManyAcks(engine: Pick<Engine, 'name' | 'requiredAcksMax'>, requiredAcks: number): string | null {
  const { name, requiredAcksMax } = engine;
  if (requiredAcksMax === null || requiredAcks <= requiredAcksMax) return null;
  return `a commit of ${name} cannot wait for more than ${requiredAcksMax} acknowledgement${requiredAcksMax === 1 ? '' : 's'}, ${requiredAcks} are wanted`;
}
