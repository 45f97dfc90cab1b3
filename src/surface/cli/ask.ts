/** What commands that drive a server share: asking it, reading lists to their end, telling what it answers. */
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import type { Answer, Asked, OperationName } from '../../contract/api/operations.ts';
import { callApi, type Access } from './api-client.ts';
import type { CliContext } from './context.ts';
import { document, type Envelope } from './view/json.ts';

export interface Ask {
  readonly access: Access;
  /** Resource group. */
  readonly group: string;
  readonly json: boolean;
  readonly context: CliContext;
}

export async function call<N extends OperationName>(
  { access, context }: Pick<Ask, 'access' | 'context'>,
  name: N,
  input: Asked<N>,
): Promise<Answer<N>> {
  return (await callApi(access, name, input, context.signal)).answer;
}

interface ListAnswer<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** All pages of a list. */
export async function allPages<T>(
  read: (page: { limit: number; cursor?: string }) => Promise<ListAnswer<T>>,
): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: ListAnswer<T> = await read({ limit: 200, ...(cursor === undefined ? {} : { cursor }) });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return items;
}

/** One document with --json, else lines for people. */
export function tell({ json, context }: Ask, envelope: Envelope, lines: readonly string[]): ExitCode {
  context.stdout.write(json ? document(envelope) : lines.map((line) => `${line}\n`).join(''));
  return EXIT.ok;
}
