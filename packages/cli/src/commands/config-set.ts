import { DEFAULT_CONFIG } from '@understudy/core';
import { parse } from 'yaml';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { apply } from '../config/change.ts';
import { checkSettings, type Settings } from '../config/document.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';

const optionsSchema = targetOptionsSchema.extend({ dryRun: z.boolean().optional() });

/** `understudy config set NAME=VALUE…` */
export async function set(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const changes = args.map(assignment);
  const client = new ClusterClient(await findTarget(options, context.io.env));
  const seen = await client.config();
  const wanted = checkSettings(changed(seen.config, changes), 'config set', () => null);
  return apply(context, client, seen, wanted, options.dryRun === true ? 'rehearse' : 'write');
}

interface Assignment {
  readonly path: readonly [name: string] | readonly [map: 'parameters' | 'upstreams', key: string];
  /** `default`: back to what it is without being set. */
  readonly value: { readonly kind: 'default' } | { readonly kind: 'value'; readonly value: unknown };
}

function assignment(text: string): Assignment {
  const [, name, value] = /^([^=\s]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new CliError('USAGE', `"${text}" is not NAME=VALUE.`, {
      next: 'Write: understudy config set requiredAcks=2',
    });
  }
  const [, map, key = ''] = /^(parameters|upstreams)\.(.+)$/.exec(name) ?? [];
  const path = map === 'parameters' || map === 'upstreams' ? ([map, key] as const) : ([name] as const);
  return {
    path,
    value: value === 'default' ? { kind: 'default' } : { kind: 'value', value: parsedValue(text, value) },
  };
}

function parsedValue(assigned: string, value: string): unknown {
  try {
    return parse(value);
  } catch {
    throw new CliError('USAGE', `The value of "${assigned}" is not YAML.`, {
      next: 'Put text with special signs into quotes.',
    });
  }
}

function changed(config: Settings, changes: readonly Assignment[]): Settings {
  const result: Record<string, unknown> = { ...config };
  for (const { path, value } of changes) {
    const [name, key] = path;
    if (key === undefined) result[name] = value.kind === 'value' ? value.value : Reflect.get(DEFAULT_CONFIG, name);
    else result[name] = withEntry(result[name], key, value);
  }
  return result;
}

function withEntry(map: unknown, key: string, value: Assignment['value']): Settings {
  const { [key]: _, ...others } = { ...Object(map) };
  return value.kind === 'value' ? { ...others, [key]: value.value } : others;
}
