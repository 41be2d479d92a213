/** The kernel's watchdog device: as long as it is written to, the machine is not reset. */

import { closeSync, openSync, writeSync } from 'node:fs';

/** A quarter of the shortest timeout that drivers commonly have. */
const WRITE_EVERY_MS = 1_000;

export class Watchdog {
  #file: number | null;
  #timer: NodeJS.Timeout | null = null;
  readonly #mayWrite: () => boolean;

  /** Opens the device, which arms it. @throws the system's error */
  constructor(device: string, mayWrite: () => boolean) {
    this.#file = openSync(device, 'w');
    this.#mayWrite = mayWrite;
    this.#write('1');
    this.#timer = setInterval(() => {
      if (this.#mayWrite()) this.#write('1');
    }, WRITE_EVERY_MS);
  }

  /** Disarms the device: the magic letter tells the driver that this end is meant. */
  close(): void {
    if (this.#file === null) return;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#write('V');
    closeSync(this.#file);
    this.#file = null;
  }

  #write(letter: string): void {
    if (this.#file !== null) writeSync(this.#file, letter);
  }
}
