/** Whether a dead letter still says what the source's row is. */
import { readable, UNCHANGED, type ByteText } from '../../change/change.ts';
import { ident, qname } from '../../pg/ident.ts';
import type { Session } from '../../pg/session.ts';
import { digestOfKey, keyAfter } from './letter-key.ts';
import { readLetterRows, readLetters, type Letter, type LetterRows } from './stored-letters.ts';

/**
 * The last of the letters of that row counts: the source has the row exactly as it leaves it, or has none where it deletes it. The values
 * are compared as the texts that both would send.
 */
export async function sourceAgrees(
  { target, source }: { target: Session; source: Session },
  letter: Letter,
): Promise<boolean> {
  const last = await lastOf(target, letter);
  if (last === null) return false;
  const { rows } = last;
  const { keyColumns } = last.letter;
  const values: string[] = [];
  const parameter = (cell: ByteText) => `$${values.push(readable(cell))}`;
  const conditions = keyAfter(last.letter, rows).map((cell, at) =>
    cell === null ? 'false' : `x.${ident(keyColumns[at] ?? '')} = ${parameter(cell)}`,
  );
  const isDeleted = last.letter.kind === 'delete';
  for (const [at, cell] of (isDeleted ? [] : (rows.new ?? [])).entries()) {
    if (cell === UNCHANGED) continue;
    const name = `x.${ident(rows.columns[at] ?? '')}`;
    conditions.push(
      cell === null
        ? `${name} IS NOT DISTINCT FROM NULL`
        : `(${name} IS DISTINCT FROM NULL AND pg_catalog.format('%s', ${name}) COLLATE pg_catalog."C" = ${parameter(cell as ByteText)}::text)`,
    );
  }
  const found = await source.query(
    `SELECT 1 AS one FROM ONLY ${qname(last.letter.table)} x WHERE ${conditions.join(' AND ')} LIMIT 1`,
    values,
  );
  return isDeleted ? found.length === 0 : found.length === 1;
}

/** The row may have taken another key on the way. Null when the letter is gone. */
async function lastOf(target: Session, first: Letter): Promise<{ letter: Letter; rows: LetterRows } | null> {
  let letter = first;
  for (;;) {
    const rows = await readLetterRows(target, letter.id);
    if (rows === null) return null;
    const [next] = await target.query(
      `SELECT id::text AS id FROM _opendts.dead_letter
        WHERE task_id = $1 AND target_schema = $2 AND target_name = $3 AND key_digest = $4 AND id > $5::bigint ORDER BY _opendts.dead_letter.id DESC LIMIT 1`,
      [
        letter.taskId,
        letter.target.schema,
        letter.target.name,
        digestOfKey(keyAfter(letter, rows)),
        letter.id,
      ],
    );
    const [after] = next?.id
      ? await readLetters(target, { tables: [], ids: [BigInt(next.id)] }, { after: '0', limit: 1 })
      : [];
    if (!after) return { letter, rows };
    letter = after;
  }
}
