/** Keeps the router's view of the cluster, until it is stopped. */
export interface Follower {
  /** Something went wrong with a server: do not wait for the next turn. */
  look(): void;
  stop(): void;
}
