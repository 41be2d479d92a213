/** Errors of the agent: one table of codes, which is also their documentation. */

/** `safe`: the same call may be made again; `unsafe`: something must change first; `unknown`: it may have taken effect, look first. */
export type Retry = 'safe' | 'unsafe' | 'unknown';

/** Every code with its meaning. */
export const AGENT_ERROR_CODES = {
  CONFIG_UNREADABLE: 'A configuration or secrets file cannot be read. Correct its path or its permissions.',
  CONFIG_INVALID: 'A configuration file has wrong settings. The message names each with its line and the fix.',
  SECRETS_EXPOSED: 'A file with secrets, a password or a private key can be read by other users. Run chmod 0600 on it.',
  STORE_VALUE_INVALID: 'A value in the store is not one this version understands. Nothing was done because of it.',
  STORE_REGRESSED:
    'The store was emptied, put back to an older state, or is another one. Nothing is decided on it; see docs/store.md.',
  STORE_NOT_REGRESSED: 'The store is not older than what this agent knows; there is nothing to restore.',
  STORE_MOVED: 'Somebody else wrote to the store while it was being restored. Ask again.',
  NOTE_UNWRITABLE:
    'The note of the newest leadership cannot be written into the data directory. Nothing that rests on it is done.',
  NOTE_UNKNOWN:
    'What a command rests on could not be read back from the store, so it is not noted, and the command not given.',
  PEER_MESSAGE_INVALID: "A peer's stream sent something that is not a state. The connection was dropped.",
  AGENT_ALREADY_RUNNING: 'Another agent uses the same run directory. Stop it first.',
  MEMBER_NAME_TAKEN: 'Another live agent has registered under this member name. Give each member its own name.',
  SERVER_ID_TAKEN: 'Another member has registered with the same server_id. Give each member its own engine.serverId.',
  RUN_DIR_UNUSABLE: 'The run directory cannot be created or written, or other users could exchange files in it.',
  API_PORT_IN_USE: 'The address of the HTTP API is taken by another process.',
  API_LISTEN_FAILED: 'The HTTP API could not be opened.',
  GUARD_UNAVAILABLE: 'The guard process does not run or does not answer. A server is not opened for writes without it.',
  COMMAND_TIMEOUT: 'A command of the engine did not end in its time.',
  COMMIT_REJECTED:
    'A transaction of the store found other values than the decision was made on. The decision is made anew.',
  RING_INVALID: 'The file is not a decision ring, or is damaged.',
  INTERNAL: 'A mistake in Understudy. Please report it with the log.',
} as const;

export type AgentErrorCode = keyof typeof AGENT_ERROR_CODES;

/** The error of this package. `message` says cause and next step, and holds no secret. */
export class AgentError extends Error {
  override readonly name: string = 'AgentError';
  readonly code: AgentErrorCode;
  readonly retry: Retry;

  constructor(code: AgentErrorCode, retry: Retry, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.retry = retry;
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system or typed error; `fallback` when it has none. */
export function codeOf(error: unknown, fallback: string): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return fallback;
  return typeof error.code === 'string' ? error.code : fallback;
}
