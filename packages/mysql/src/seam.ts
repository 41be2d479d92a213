/**
 * Called before every statement to the member's own server and every note: where an agent can die, and where an answer can be lost. `die`: the
 * step is not taken, and no other is after it. `lose`: it is taken, and nobody learns of it. Tests stop commands there; an agent has none.
 */
export type Seam = (step: string) => 'go' | 'die' | 'lose';

/** The end of a command at its seam. */
export class SeamError extends Error {
  constructor(step: string) {
    super(`stopped at "${step}"`);
    this.name = 'SeamError';
  }
}

/** @throws SeamError for a step that is not taken. */
export function passSeam(seam: Seam | undefined, step: string): void {
  if (seam !== undefined && seam(step) !== 'go') throw new SeamError(step);
}
