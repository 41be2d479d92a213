/** What happens at an instant. */
type Action = () => void;

/**
 * Virtual time: a binary heap of actions ordered by (time, sequence). Two actions of one instant run in the order in which they
 * were planned, so a run depends on nothing but its scenario. Times are true milliseconds since the start of the simulation.
 */
export class Scheduler {
  now = 0;
  /** Actions run so far. */
  events = 0;
  readonly #times: number[] = [];
  readonly #sequences: number[] = [];
  readonly #actions: Action[] = [];
  #sequence = 0;

  at(time: number, action: Action): void {
    const times = this.#times;
    const sequences = this.#sequences;
    const actions = this.#actions;
    const at = time < this.now ? this.now : time;
    const sequence = this.#sequence++;
    let hole = times.length;
    times.push(at);
    sequences.push(sequence);
    actions.push(action);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const parentTime = times[parent] as number;
      if (parentTime <= at) break;
      times[hole] = parentTime;
      sequences[hole] = sequences[parent] as number;
      actions[hole] = actions[parent] as Action;
      hole = parent;
    }
    times[hole] = at;
    sequences[hole] = sequence;
    actions[hole] = action;
  }

  after(delayMs: number, action: Action): void {
    this.at(this.now + delayMs, action);
  }

  /** Runs the earliest action; false when none is left or the earliest lies beyond `until` (time then stands at `until`). */
  step(until: number): boolean {
    const first = this.#times[0];
    if (first === undefined || first > until) {
      this.now = until;
      return false;
    }
    const action = this.#actions[0] as Action;
    this.now = first;
    this.events += 1;
    this.#removeFirst();
    action();
    return true;
  }

  #removeFirst(): void {
    const time = this.#times.pop() as number;
    const sequence = this.#sequences.pop() as number;
    const action = this.#actions.pop() as Action;
    const size = this.#times.length;
    if (size === 0) return;
    this.#sink(size, time, sequence, action);
  }

  /** Puts an action into the hole at the root and lets it sink to its place. */
  #sink(size: number, time: number, sequence: number, action: Action): void {
    const times = this.#times;
    const sequences = this.#sequences;
    const actions = this.#actions;
    let hole = 0;
    for (;;) {
      let child = hole * 2 + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && this.#before(right, child)) child = right;
      const childTime = times[child] as number;
      if (childTime > time || (childTime === time && (sequences[child] as number) > sequence)) break;
      times[hole] = childTime;
      sequences[hole] = sequences[child] as number;
      actions[hole] = actions[child] as Action;
      hole = child;
    }
    times[hole] = time;
    sequences[hole] = sequence;
    actions[hole] = action;
  }

  #before(a: number, b: number): boolean {
    const timeA = this.#times[a] as number;
    const timeB = this.#times[b] as number;
    return timeA < timeB || (timeA === timeB && (this.#sequences[a] as number) < (this.#sequences[b] as number));
  }
}
