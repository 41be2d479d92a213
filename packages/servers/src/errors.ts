import { defineErrors } from '@understudy/base';

/** The errors of this package. `docs/servers.md` lists the codes too. */
export const ServersError = defineErrors('ServersError', {
  SERVER_UNKNOWN: {
    meaning: 'No recipe has that name.',
    retry: 'unsafe',
    next: 'See what there is: understudy servers list',
  },
  SERVER_NOT_FOUND: {
    meaning: 'No usable server of the wanted kind and version is on this machine.',
    retry: 'safe',
    next: 'See what is here and what can be fetched: understudy servers list',
  },
  SERVER_BROKEN: {
    meaning: 'A folder that should hold a server does not: a file is missing or does not run.',
    retry: 'unsafe',
    next: 'Name another folder, or remove a fetched one and fetch it again.',
  },
  PLATFORM_UNSUPPORTED: {
    meaning: 'There are no binaries for this operating system or processor.',
    retry: 'unsafe',
    next: 'Install the server and put it on PATH.',
  },
  TOOL_MISSING: {
    meaning: 'A program that fetching needs is not installed.',
    retry: 'unsafe',
    next: 'Install it, or the server itself, and put it on PATH.',
  },
  FETCH_FAILED: {
    meaning: 'The download or its verification failed.',
    retry: 'safe',
    next: 'Check the network and the free disk space, then try again.',
  },
  CACHE_UNWRITABLE: {
    meaning: 'The cache folder cannot be written.',
    retry: 'unsafe',
    next: 'Set UNDERSTUDY_CACHE to a folder of your own.',
  },
  LOCK_TIMEOUT: {
    meaning: 'Another process has been fetching the same server for too long.',
    retry: 'safe',
    next: 'Wait for it or end it, then try again.',
  },
  USER_MISSING: {
    meaning: 'PostgreSQL refuses to run as root and there is no other user to run it as.',
    retry: 'unsafe',
    next: 'Make one (useradd --system postgres) or run as an ordinary user.',
  },
  UNREACHABLE: {
    meaning: 'The user that runs the server cannot read its binaries, and no safe copy could be made.',
    retry: 'unsafe',
    next: 'Move the checkout to a folder that every user can enter.',
  },
  COMMAND_FAILED: {
    meaning: 'A helper program failed, or did not end before its deadline.',
    retry: 'safe',
    next: 'Try again.',
  },
});

export type ServersError = InstanceType<typeof ServersError>;
export type ServersErrorCode = ServersError['code'];
