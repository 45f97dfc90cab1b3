/** The OpenAPI 3.1 document, made from the operations of the contract. */
import { z } from 'zod';
import { pathFields, type Operation } from '../../contract/api/operation.ts';
import { OPERATIONS } from '../../contract/api/operations.ts';

type Json = Record<string, unknown>;

const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'remedy', 'retry', 'instance'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', description: 'A code of docs/errors.md' },
    remedy: { type: 'string', description: 'What to do about it' },
    retry: { enum: ['never', 'later'] },
    facts: { type: 'object' },
    instance: { type: 'string', format: 'uri' },
  },
};

export interface OpenApi {
  readonly info: { readonly title: string; readonly version: string; readonly license: Json };
  readonly paths: Readonly<Record<string, Json>>;
}

/** `version` is that of the program. */
export function openApi(version: string): OpenApi & Json {
  const paths: Record<string, Json> = {};
  for (const [name, operation] of Object.entries<Operation>(OPERATIONS)) {
    (paths[operation.path] ??= {})[operation.method.toLowerCase()] = described(name, operation);
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: { title: 'opendts', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/api/v1' }],
    security: [{ token: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An API token, opendts_…' },
        session: { type: 'apiKey', in: 'cookie', name: 'opendts_session', description: 'With X-CSRF-Token' },
      },
      schemas: { Problem: problem },
    },
  };
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same request sent again with the same key is carried out once',
  schema: { type: 'string', maxLength: 200 },
};
const lastEventId = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The id of the last event that was seen: to go on from there',
  schema: { type: 'string' },
};

function described(name: string, operation: Operation): Json {
  const { method, path, access, creates, summary } = operation;
  const input = schemaOf(operation.input, 'input');
  const properties = (input.properties ?? {}) as Record<string, Json>;
  const required = new Set((input.required ?? []) as string[]);
  const inPath = pathFields(path);
  const rest = Object.entries(properties).filter(([field]) => !inPath.includes(field));
  const inQuery = method === 'GET' || method === 'DELETE';
  const parameter = (field: string, where: 'path' | 'query', schema: Json | undefined) => ({
    name: field,
    in: where,
    required: where === 'path' || required.has(field),
    schema: schema ?? {},
  });
  return {
    operationId: name,
    summary,
    tags: [name.split('.')[0]],
    'x-opendts-access': access,
    ...(access === 'anyone' ? { security: [] } : {}),
    parameters: [
      ...inPath.map((field) => parameter(field, 'path', properties[field])),
      ...(inQuery ? rest.map(([field, schema]) => parameter(field, 'query', schema)) : []),
      ...(creates === 'repeatable' ? [idempotencyKey] : []),
      ...(operation.stream ? [lastEventId] : []),
    ],
    ...(inQuery || rest.length === 0
      ? {}
      : {
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: Object.fromEntries(rest),
                  required: rest.map(([field]) => field).filter((field) => required.has(field)),
                  additionalProperties: false,
                },
              },
            },
          },
        }),
    responses: {
      [creates === undefined ? '200' : '201']: {
        description: operation.stream
          ? 'Server-sent events, until one of the two ends it; the data of each is this'
          : 'Done',
        content: {
          [operation.stream ? 'text/event-stream' : 'application/json']: {
            schema: schemaOf(operation.output, 'output'),
          },
        },
      },
      default: {
        description: 'Not done',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}
