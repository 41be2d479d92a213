import { defineErrors } from '@understudy/base';

/** Failures of an engine's commands. `docs/postgresql.md` lists the codes. No text holds a secret. */
export const EngineError = defineErrors('EngineError', {
  ENGINE_BINARY_MISSING: {
    meaning: "One of the server's programs is missing or does not run.",
    retry: 'safe',
    next: 'Install it, or correct binDir.',
  },
  ENGINE_DATA_REFUSED: {
    meaning:
      'The data directory or the configuration is not what it must be. Nothing was touched; the message names the place.',
    retry: 'unsafe',
    next: 'Correct what the message names.',
  },
  ENGINE_DISK_FULL: {
    meaning: 'The disk is full. What was half done has been removed and is tried again.',
    retry: 'safe',
    next: 'Make room on that disk.',
  },
  ENGINE_PORT_IN_USE: {
    meaning: 'Another program listens on the port, or the address is not one of this host.',
    retry: 'safe',
    next: 'End that program, or correct the port and the address.',
  },
  ENGINE_START_FAILED: {
    meaning: 'The server ended while it was starting. The message has the end of its log.',
    retry: 'safe',
    next: 'Look at its log.',
  },
  ENGINE_STOP_TIMEOUT: {
    meaning: 'The server did not stop within its deadline, or cannot even be killed.',
    retry: 'safe',
    next: 'Look for a hanging disk.',
  },
  ENGINE_UNREACHABLE: {
    meaning: 'The server, here or on another member, does not answer.',
    retry: 'safe',
    next: '',
  },
  ENGINE_TIMEOUT: {
    meaning: 'The server did not answer a question within its deadline.',
    retry: 'unknown',
    next: '',
  },
  ENGINE_SEAL_UNPROVEN: {
    meaning: 'It could not be shown that nothing is received any more; the election must not count on this node.',
    retry: 'safe',
    next: '',
  },
  ENGINE_RULE_UNPROVEN: {
    meaning: 'It could not be shown which acknowledgement rule the server uses; the stricter one must be assumed.',
    retry: 'safe',
    next: '',
  },
  ENGINE_PROMOTE_FAILED: {
    meaning: 'The server was not opened for writes, or not on the wanted history line (it was stopped then).',
    retry: 'unknown',
    next: '',
  },
  ENGINE_DECISION_STALE: {
    meaning: 'The decision to promote was too old when it could be carried out; nothing was opened.',
    retry: 'safe',
    next: '',
  },
  ENGINE_CLONE_FAILED: {
    meaning: 'The copy failed and was removed; what was there before is as it was.',
    retry: 'safe',
    next: '',
  },
  ENGINE_COPY_UNAVAILABLE: {
    meaning: 'The files of that member cannot be copied; the copy is made in another way.',
    retry: 'safe',
    next: '',
  },
  ENGINE_REWIND_FAILED: {
    meaning: 'The rewind failed; the data directory is copied anew.',
    retry: 'unsafe',
    next: '',
  },
  ENGINE_LOGIN_FAILED: {
    meaning: 'A server refused our login.',
    retry: 'safe',
    next: 'Are the secrets the same on every member?',
  },
  ENGINE_BUSY: {
    meaning: 'Long work is under way; the command has to wait for it.',
    retry: 'safe',
    next: '',
  },
  ENGINE_INTERNAL: {
    meaning: 'A mistake in the engine or an answer that it does not understand.',
    retry: 'unsafe',
    next: 'Please report it.',
  },
});

export type EngineError = InstanceType<typeof EngineError>;
export type EngineErrorCode = EngineError['code'];
