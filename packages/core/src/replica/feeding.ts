/**
 * Whether `member` gets a stream that begins at `leader`, directly or by way of other replicas. Members that stream from one another in
 * a circle get nothing.
 *
 * @param receivesFrom whom a member gets a stream from; null: from nobody, or it is not known
 */
export function isFedBy<Id>(leader: Id, member: Id, receivesFrom: (member: Id) => Id | null): boolean {
  const passed = new Set<Id>();
  for (let at = member; !passed.has(at); ) {
    const source = receivesFrom(at);
    if (source === leader) return true;
    if (source === null) return false;
    passed.add(at);
    at = source;
  }
  return false;
}
