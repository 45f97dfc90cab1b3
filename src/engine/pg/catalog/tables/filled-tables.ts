/** Which tables hold at least one row. */
import type { QualifiedName } from '../../../change/relation.ts';
import { qname } from '../../ident.ts';
import type { Session } from '../../session.ts';

const BATCH = 200;

/** Of tables that exist, those with rows of their own. */
export async function withRows<Table extends QualifiedName>(
  session: Session,
  tables: readonly Table[],
): Promise<Table[]> {
  const filled: Table[] = [];
  for (let from = 0; from < tables.length; from += BATCH) {
    const part = tables.slice(from, from + BATCH);
    const asked = part.map(
      (table, position) => `SELECT ${position} AS position WHERE EXISTS (SELECT FROM ONLY ${qname(table)})`,
    );
    for (const { position } of await session.query(asked.join('\nUNION ALL '))) {
      const table = part[Number(position)];
      if (table) filled.push(table);
    }
  }
  return filled;
}
