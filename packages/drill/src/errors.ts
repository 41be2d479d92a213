import { defineErrors } from '@understudy/base';

/** The errors of the drill. */
export const DrillError = defineErrors('DrillError', {
  OPTION_INVALID: {
    meaning: 'An option of the drill is wrong. The message names it and what it may be.',
    retry: 'unsafe',
    next: 'See: understudy drill --help',
  },
  SETUP_FAILED: {
    meaning: 'The tables of the drill could not be made, or nothing could be written before the first fault.',
    retry: 'safe',
    next: '',
  },
  FAULT_FAILED: {
    meaning: 'A fault could not be injected or healed.',
    retry: 'safe',
    next: '',
  },
});

export type DrillError = InstanceType<typeof DrillError>;
export type DrillErrorCode = DrillError['code'];
