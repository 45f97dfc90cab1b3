/** What is said of an operation once: HTTP, OpenAPI, the CLI, rights and the audit log are made from it. */
import type { z } from 'zod';
import type { Right } from './roles.ts';

/**
 * Who may: anyone; whoever has logged in, for what is theirs; who administers the installation; or, for an operation whose path
 * begins with a group, a member with a right in it.
 */
export type Access = 'anyone' | 'self' | 'administrator' | Right;

export interface Operation {
  readonly summary: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below /api/v1; `{field}` is a field of the input. The other fields are the query of GET and DELETE, else the body. */
  readonly path: `/${string}`;
  readonly access: Access;
  readonly input: z.ZodObject;
  readonly output: z.ZodType;
  /** Makes something: 201, and an Idempotency-Key is heeded. Not where the answer holds a secret, which is shown once and kept nowhere. */
  readonly creates?: 'repeatable' | 'once';
  /** Answers with a stream of server-sent events, each of them one `output`, until one of the two ends it. */
  readonly stream?: true;
  /** May be done before a one-time password was changed. */
  readonly withOneTimePassword?: boolean;
}

/** Names of the `{fields}` in a path. */
export function pathFields(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, field]) => field ?? '');
}
