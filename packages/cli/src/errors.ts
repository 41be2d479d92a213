import { defineErrors } from '@understudy/base';

/** Errors of the command itself. Errors of other parts keep the code and the next step that they came with. */
export const CliError = defineErrors('CliError', {
  USAGE: {
    meaning: 'The command, an option or an argument is unknown, missing or wrong.',
    retry: 'unsafe',
    next: '',
  },
  NO_CLUSTER: {
    meaning: 'There is no cluster at the given place.',
    retry: 'unsafe',
    next: '',
  },
  UNREACHABLE: {
    meaning: 'No agent of the cluster answered.',
    retry: 'unsafe',
    next: '',
  },
  ANSWER_INVALID: {
    meaning: 'Something answered that is not an agent of this version.',
    retry: 'unsafe',
    next: '',
  },
  REFUSED: {
    meaning: 'The cluster refused the request and says why. Nothing was changed.',
    retry: 'unsafe',
    next: '',
  },
  REQUEST_FAILED: {
    meaning: 'The request failed; the message says what is true now.',
    retry: 'unsafe',
    next: '',
  },
  STILL_PENDING: {
    meaning: 'The request was not done in time; the message says whether it was cancelled or goes on.',
    retry: 'unsafe',
    next: '',
  },
  NOT_CONFIRMED: {
    meaning: 'The question was not confirmed. Nothing was changed.',
    retry: 'unsafe',
    next: '',
  },
  CONFIG_CHANGED: {
    meaning: 'Somebody else changed the configuration meanwhile. Nothing was changed.',
    retry: 'unsafe',
    next: '',
  },
  FILE_UNREADABLE: {
    meaning: 'A named file cannot be read or written.',
    retry: 'unsafe',
    next: '',
  },
  EDITOR_FAILED: {
    meaning: 'The editor could not be started or ended with an error. Nothing was changed.',
    retry: 'unsafe',
    next: '',
  },
  UNHEALTHY: {
    meaning: '`status --check` found the cluster degraded.',
    retry: 'unsafe',
    next: '',
  },
  INTERRUPTED: {
    meaning: 'The command was interrupted.',
    retry: 'unsafe',
    next: '',
  },
  INTERNAL: {
    meaning: 'A mistake in Understudy.',
    retry: 'unsafe',
    next: 'Please report it with the output of --debug.',
  },
});

export type CliError = InstanceType<typeof CliError>;
export type CliErrorCode = CliError['code'];
