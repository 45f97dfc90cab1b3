/** The tables of a stream by the names that messages use: selected and understood, not selected, or not understood any more. */
import { AppError } from '../../../base/errors/app-error.ts';
import { displayName, nameKey, type QualifiedName, type Relation } from '../../change/relation.ts';
import type { DescribedTable, Description, MisplacedTable } from './described-table.ts';
import { endOfName, readName } from './scan.ts';
import { shapeOf, type TableShape } from './table-shape.ts';

/** A change of a table that is not understood, and why: as the reader of a slot hands it out. */
export interface Unjudged {
  readonly kind: 'unjudged';
  readonly relation: Relation;
  readonly error: AppError;
}

export interface KnownTable {
  /** Null: not selected, or not understood; then nobody asks what a change of it says. */
  readonly selected: DescribedTable | null;
  shapes: readonly TableShape[];
  /** For changes that hold nothing. */
  readonly stub: Relation;
  /** Why no change of it is understood. */
  readonly problem: string | null;
}

export class KnownTables {
  private readonly description: Pick<Description, 'tables' | 'misplaced' | 'others'>;
  private readonly known = new Map<string, KnownTable>();

  constructor(description: Pick<Description, 'tables' | 'misplaced' | 'others'>) {
    this.description = description;
  }

  /** `written`: as in a message, one character per byte. */
  get(written: string): KnownTable {
    const seen = this.known.get(written);
    if (seen) return seen;
    const table = this.find(written);
    this.known.set(written, table);
    return table;
  }

  private find(written: string): KnownTable {
    const end = endOfName(written, 0);
    const name = { schema: readName(written.slice(0, end)), name: readName(written.slice(end + 1)) };
    const found = this.description.tables.get(nameKey(name));
    if (found === undefined) return this.stranger(name);
    const stub = stubOf(found);
    return 'problem' in found
      ? { selected: null, shapes: [], stub, problem: found.problem }
      : { selected: found, shapes: [shapeOf(found, found.columns)], stub, problem: null };
  }

  /** Not selected; unless one that is selected is not in its place, and may have had this name for a while. */
  private stranger(name: QualifiedName): KnownTable {
    const { misplaced, others } = this.description;
    const nobody = { selected: null, shapes: [] };
    if (misplaced === null || others.has(nameKey(name)))
      return { ...nobody, stub: stubOf({ oid: 0, ...name }), problem: null };
    const problem = `it may have been called ${displayName(name)} for a while`;
    return { ...nobody, stub: stubOf(misplaced), problem };
  }
}

function stubOf({ oid, schema, name }: Pick<MisplacedTable, 'oid' | 'schema' | 'name'>): Relation {
  return { oid, schema, name, replicaIdentity: 'nothing', columns: [] };
}

export function unjudged(relation: Relation, difference: string): Unjudged {
  const error = new AppError('RELATION_CHANGED', { table: displayName(relation), difference });
  return { kind: 'unjudged', relation, error };
}
