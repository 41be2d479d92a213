/** How many acknowledgements a commit can wait for, and what they can stand for, is a matter of the engine. */

import type { ClusterConfig } from '@understudy/core';
import type { Engine } from '@understudy/engine';

type Degree = ClusterConfig['synchronousCommit'];
type Able = Pick<Engine, 'name' | 'requiredAcksMax' | 'commitDegrees'>;

/** Why so many acknowledgements cannot be asked for; null when they can. */
export function tooManyAcks(engine: Pick<Engine, 'name' | 'requiredAcksMax'>, requiredAcks: number): string | null {
  const { name, requiredAcksMax } = engine;
  if (requiredAcksMax === null || requiredAcks <= requiredAcksMax) return null;
  return `a commit of ${name} cannot wait for more than ${requiredAcksMax} acknowledgement${requiredAcksMax === 1 ? '' : 's'}, ${requiredAcks} are wanted`;
}

/** Why commits cannot have that degree of `synchronousCommit`; null when they can. */
export function unableDegree(
  { name, commitDegrees }: Pick<Able, 'name' | 'commitDegrees'>,
  degree: Degree,
): string | null {
  if (degree === 'on' || commitDegrees.includes(degree)) return null;
  return `a commit of ${name} waits until the replica has written it durably, which is "on"; "${degree}" cannot be asked for`;
}

/** Which settings of the cluster its engine cannot keep, each with the reason. */
export function unkeepable(
  engine: Able,
  config: Pick<ClusterConfig, 'requiredAcks' | 'synchronousCommit'>,
): readonly string[] {
  const acks = tooManyAcks(engine, config.requiredAcks);
  const degree = unableDegree(engine, config.synchronousCommit);
  return [
    ...(acks === null ? [] : [`requiredAcks: ${acks}`]),
    ...(degree === null ? [] : [`synchronousCommit: ${degree}`]),
  ];
}
