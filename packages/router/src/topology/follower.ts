/** Whoever says who leads. */
export interface Follower {
  /** Something went wrong with a server: do not wait for the next turn. */
  look(): void;
  stop(): void;
}
