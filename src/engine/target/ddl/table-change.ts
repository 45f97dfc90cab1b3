/** What a table of the source has become at its place in the stream: kept with the table that has stopped for it, until somebody chooses. */

export interface ChangedColumn {
  /** Its number on the source, which never uses one again; null where the stream does not tell. */
  readonly attnum: number | null;
  readonly name: string;
  /** With length or precision; null where the stream does not tell. */
  readonly type: string | null;
  readonly typeOid: number;
  readonly typmod: number;
  readonly notNull: boolean | null;
  readonly generated: '' | 's' | 'v';
  readonly identity: '' | 'a' | 'd';
  readonly collation: string | null;
  /** The server kept one value for the rows that were there when it was added. */
  readonly hasMissing: boolean;
  /** That value as text; null where only the catalog has it. */
  readonly missing: string | null;
  readonly hasDefault: boolean;
}

export interface TableChange {
  /** Of the source's table. */
  readonly oid: number;
  /** A captured command tells all of it; a change of another shape only names and types. */
  readonly from: 'command' | 'shape';
  /** In the order of their numbers. */
  readonly columns: readonly ChangedColumn[];
  /** The command may have given other values to a column that it has given another type (USING), or is not known. */
  readonly mayConvert: boolean;
  /** The same transaction has changed rows of the table before. */
  readonly afterRows: boolean;
}

export function changeText(change: TableChange): string {
  return JSON.stringify(change);
}

export function changeFromText(text: string): TableChange {
  return JSON.parse(text) as TableChange;
}
