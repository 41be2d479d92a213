/** Where a drill writes. It is given from outside, so that nothing goes around the place that makes foreign text harmless. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** One line on standard error that is drawn over, on a terminal; does nothing elsewhere. */
  readonly moving: (line: string) => void;
  /** Takes that line away. */
  readonly clear: () => void;
  readonly red: (text: string) => string;
}
