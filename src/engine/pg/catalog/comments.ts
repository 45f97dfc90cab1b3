/** Comments of user objects and of columns; not that of the schema public, which is not ours to describe on the target. */
import type { Row, Session } from '../session.ts';
import { sharedTexts } from './shared.ts';
import { type ObjectKey } from './user-object.ts';

export interface CommentInfo {
  readonly object: ObjectKey;
  /** Null for the object itself. */
  readonly column: string | null;
  readonly text: string;
}

const COMMENTS = `
    SELECT k.relname || ':' || d.objoid AS object, a.attname AS column, d.description AS text
      FROM pg_catalog.pg_description d JOIN pg_catalog.pg_class k ON k.oid = d.classoid
      LEFT JOIN pg_catalog.pg_attribute a ON k.relname = 'pg_class' AND d.objsubid > 0 AND a.attrelid = d.objoid AND a.attnum = d.objsubid
     WHERE d.objoid >= 16384
     ORDER BY d.objoid, d.objsubid`;

interface CommentRow extends Row {
  readonly object: string;
  readonly column: string | null;
  readonly text: string;
}

export function readComments(session: Session, text = sharedTexts()): Promise<CommentInfo[]> {
  return session.map(COMMENTS, commentInfo, { text });
}

function commentInfo({ object, column, text }: CommentRow): CommentInfo {
  return { object, column, text };
}
