import { defineErrors } from '@understudy/base';

/** The errors of the agent. No text holds a secret. */
export const AgentError = defineErrors('AgentError', {
  CONFIG_UNREADABLE: {
    meaning: 'A configuration or secrets file cannot be read.',
    retry: 'unsafe',
    next: 'Correct its path or its permissions.',
  },
  CONFIG_INVALID: {
    meaning: 'A configuration file has wrong settings. The message names each with its line and the fix.',
    retry: 'unsafe',
    next: 'Correct the file, then check it with: understudy agent --config FILE --check',
  },
  SECRETS_EXPOSED: {
    meaning: 'A file with secrets, a password or a private key can be read by other users.',
    retry: 'unsafe',
    next: 'Run chmod 0600 on it.',
  },
  STORE_VALUE_INVALID: {
    meaning: 'A value in the store is not one this version understands. Nothing was done because of it.',
    retry: 'unsafe',
    next: 'Upgrade this agent, or put the value right.',
  },
  STORE_REGRESSED: {
    meaning: 'The store was emptied, put back to an older state, or is another one. Nothing is decided on it.',
    retry: 'unsafe',
    next: 'Correct the address, restore the store, or run `understudy restore-store` (docs/store.md).',
  },
  STORE_NOT_REGRESSED: {
    meaning: 'The store is not older than what this agent knows; there is nothing to restore.',
    retry: 'unsafe',
    next: '',
  },
  STORE_MOVED: {
    meaning: 'Somebody else wrote to the store while it was being restored.',
    retry: 'safe',
    next: 'Ask again.',
  },
  NOTE_UNWRITABLE: {
    meaning:
      'The note of the newest leadership cannot be written into the data directory. Nothing that rests on it is done.',
    retry: 'safe',
    next: 'Free space, or correct the permissions.',
  },
  NOTE_UNKNOWN: {
    meaning:
      'What a command rests on could not be read back from the store, so it is not noted, and the command not given.',
    retry: 'safe',
    next: 'It is decided again when the store answers.',
  },
  PEER_MESSAGE_INVALID: {
    meaning: "A peer's stream sent something that is not a state. The connection was dropped.",
    retry: 'safe',
    next: '',
  },
  AGENT_ALREADY_RUNNING: {
    meaning: 'Another agent uses the same run directory.',
    retry: 'unsafe',
    next: 'Stop it first, or give this member its own runDir.',
  },
  MEMBER_NAME_TAKEN: {
    meaning: 'Another live agent has registered under this member name.',
    retry: 'unsafe',
    next: 'Give each member its own name, or stop the other agent.',
  },
  SERVER_ID_TAKEN: {
    meaning: 'Another member has registered with the same server_id.',
    retry: 'unsafe',
    next: 'Give each member its own engine.serverId.',
  },
  RUN_DIR_UNUSABLE: {
    meaning: 'The run directory cannot be created or written, or other users could exchange files in it.',
    retry: 'unsafe',
    next: 'Correct runDir, its permissions or the disk.',
  },
  API_PORT_IN_USE: {
    meaning: 'The address of the HTTP API is taken by another process.',
    retry: 'unsafe',
    next: 'Free it, or change api.listen.',
  },
  API_LISTEN_FAILED: {
    meaning: 'The HTTP API could not be opened.',
    retry: 'unsafe',
    next: 'Correct api.listen.',
  },
  GUARD_UNAVAILABLE: {
    meaning: 'The guard process does not run or does not answer. A server is not opened for writes without it.',
    retry: 'safe',
    next: 'See guard.log in the run directory.',
  },
  COMMAND_TIMEOUT: {
    meaning: 'A command of the engine did not end in its time.',
    retry: 'unknown',
    next: '',
  },
  COMMIT_REJECTED: {
    meaning: 'A transaction of the store found other values than the decision was made on. The decision is made anew.',
    retry: 'safe',
    next: '',
  },
  RING_INVALID: {
    meaning: 'The file is not a decision ring, or is damaged.',
    retry: 'unsafe',
    next: 'Name a decision ring that this version wrote.',
  },
  INTERNAL: {
    meaning: 'A mistake in Understudy.',
    retry: 'unsafe',
    next: 'Please report it with the log.',
  },
});

export type AgentError = InstanceType<typeof AgentError>;
export type AgentErrorCode = AgentError['code'];
