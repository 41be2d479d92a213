/** A host by number, or the one whose server is the primary (or was last recorded so) when the fault strikes. */
export type Target = number | 'leader' | 'follower';
