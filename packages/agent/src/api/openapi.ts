/** `GET /openapi.json`, made from the table of paths. */

import { z } from 'zod';
import { COPY_PATH, COPY_TRAILER } from '../codec/copy-verdict.ts';
import { MEMBER_HEADER } from '../peers/introduction.ts';
import { HEALTH_CHECKS } from './patroni.ts';
import { copyBodySchema } from './requests.ts';
import { ROUTES, type Route } from './routes.ts';
import { apiErrorSchema } from './views.ts';

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output'): unknown => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
};

const content = (schema: unknown): unknown => ({ 'application/json': { schema } });

function operation(route: Route): unknown {
  const names = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
  const isChange = route.method !== 'GET';
  return {
    summary: route.summary,
    ...(names.length === 0
      ? {}
      : { parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })) }),
    ...(route.body === undefined ? {} : { requestBody: { content: content(jsonSchema(route.body, 'input')) } }),
    // Without a token answers are given only on the loopback address.
    security: [{ token: [] }, ...(isChange ? [] : [{}])],
    responses: {
      200: {
        description: 'Done.',
        ...(route.answer === undefined ? {} : { content: content(jsonSchema(route.answer, 'output')) }),
      },
      default: {
        description: 'Not done; code, cause and next step.',
        content: content({ $ref: '#/components/schemas/Error' }),
      },
    },
  };
}

function healthOperation(path: string): unknown {
  return {
    summary: `Health check: 200 if this node can be asked as "${path}", else 503.`,
    responses: { 200: { description: 'Yes.' }, 503: { description: 'No.' } },
  };
}

/** The document for OpenAPI 3.1. */
export function openApiDocument(): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  const add = (path: string, method: string, what: unknown) => {
    const key = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[key] = { ...paths[key], [method]: what };
  };
  for (const path of Object.keys(HEALTH_CHECKS)) add(path, 'get', healthOperation(path));
  for (const route of ROUTES) add(route.path, route.method.toLowerCase(), operation(route));
  add(COPY_PATH, 'post', {
    summary: "The files of this member's server, as its engine copies them; for other agents.",
    requestBody: { content: content(jsonSchema(copyBodySchema, 'input')) },
    security: [{ member: [] }],
    responses: {
      200: {
        description: `Stream. It is whole only if the trailer "${COPY_TRAILER}" says so.`,
        content: { 'application/octet-stream': {} },
      },
      default: {
        description: 'Not to be had; code, cause and next step.',
        content: content({ $ref: '#/components/schemas/Error' }),
      },
    },
  });
  add('/metrics', 'get', { summary: 'Metrics for Prometheus.', responses: { 200: { description: 'Text format.' } } });
  add('/events', 'get', {
    summary: "This agent's live state as server-sent events.",
    responses: { 200: { description: 'Stream.' } },
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'Understudy agent',
      version: '1',
      description:
        'Changes need a bearer token or a client certificate, and so does looking where the API is not on the loopback address.',
    },
    paths,
    components: {
      schemas: { Error: jsonSchema(apiErrorSchema, 'output') },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        member: { type: 'apiKey', in: 'header', name: MEMBER_HEADER },
      },
    },
  };
}
