/** What callers are told who may not do what they ask for. */

import { allows, type Caller, type Need } from '../access/caller.ts';
import { isLoopback } from '../config/address.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { type HttpProblem, problem } from './errors.ts';

/** What is asked of a caller in effect: only this machine's own programs reach an API on the loopback address, and they may look. */
export function effectiveNeed(need: Need, { listen }: Pick<NodeConfig['api'], 'listen'>): Need {
  return (need === 'view' || need === 'watch') && isLoopback(listen.host) ? 'open' : need;
}

/**
 * Checks that a caller may do what needs that much.
 * @throws HttpProblem 401 or 403
 */
export function authorize(caller: Caller, need: Need, api: NodeConfig['api'], tokens: 'some' | 'none'): void {
  const effective = effectiveNeed(need, api);
  if (!allows(caller, effective)) throw refusal(caller, effective, tokens);
}

/**
 * Checks that a caller may see what may hold secrets: parameters such as archive_command, and what was changed by whom. Being on this machine
 * is not enough where there are tokens, as all its users are.
 * @throws HttpProblem 401 or 403
 */
export function authorizeSettings(caller: Caller, tokens: 'some' | 'none'): void {
  if (tokens === 'some' && !allows(caller, 'view')) throw refusal(caller, 'view', tokens);
}

function refusal(caller: Caller, need: Need, tokens: 'some' | 'none'): HttpProblem {
  const { who, role, member, wrongToken, by } = caller;
  if (wrongToken) {
    const next = 'Send the token in api.tokenFile.';
    return problem(403, 'TOKEN_WRONG', 'The bearer token is not one of this cluster.', next);
  }
  if (need === 'member') {
    const next = 'Members show it by their secrets file, which must be the same on all of them.';
    return problem(403, 'MEMBERS_ONLY', `Only agents of the cluster may ask for that, and ${who} is none.`, next);
  }
  if (role === null && member === null) {
    if (tokens === 'none') {
      return problem(
        403,
        'CHANGES_DISABLED',
        'This agent has no token, and the caller showed no certificate that it trusts.',
        'Set api.tokenFile, or api.tls with clientCert, or api.loopback: trusted, and restart the agent.',
      );
    }
    const what = need === 'view' || need === 'watch' ? 'This answer shows addresses and reasons: it' : 'A change';
    const next = 'Send "authorization: Bearer <token>"; it is in api.tokenFile.';
    return problem(401, 'TOKEN_MISSING', `${what} needs the bearer token.`, next);
  }
  const may = role === null ? 'is an agent and changes nothing' : `may ${role}`;
  const wanted = need === 'watch' ? 'view' : need;
  const next =
    by === 'certificate' && member === null
      ? `To allow it, add "- { name: ${who.replace(/^certificate /, '')}, role: ${wanted} }" to api.certificates of each node's file.`
      : `Use a token with the role ${wanted}.`;
  return problem(403, 'ROLE_MISSING', `That needs the role ${wanted}, and ${who} ${may}.`, next);
}
