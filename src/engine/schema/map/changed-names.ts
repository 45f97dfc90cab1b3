/** The words of the source that mean something else on the target, looked for in texts that are not read as SQL. Pure. */
import type { NamedTable } from '../../selection/target-columns.ts';
import type { TargetNames } from '../../selection/target-names.ts';

export interface ChangedNames {
  /** Whether a text has one of the words in it, wherever. */
  areIn(text: string): boolean;
  /** Numbers of the lines, from 1 on, that have one in them. */
  linesIn(text: string): number[];
}

const WORD = /"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/gu;

export function changedNames(
  model: {
    readonly schemas: readonly { readonly name: string }[];
    readonly tables: readonly { readonly info: NamedTable }[];
  },
  names: TargetNames,
): ChangedNames {
  const words = new Set<string>();
  const note = (name: string, wanted: string | null) => {
    if (name !== wanted) words.add(name.toLowerCase());
  };
  for (const { name } of model.schemas) note(name, names.schema(name));
  for (const { info } of model.tables) {
    const { schema, name } = names.table(info);
    note(info.schema, schema);
    note(info.name, name);
    for (const column of info.columns) note(column.name, names.column(info, column.name));
  }
  const has = (text: string) => {
    for (const [word] of text.matchAll(WORD)) {
      const bare = word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word;
      // A quoted word may be a text in which others stand, or stand in a literal with its quotes doubled.
      if (
        words.has(bare.toLowerCase()) ||
        words.has(bare.replaceAll("''", "'").toLowerCase()) ||
        // What looks like one word with dollars in it may be a word at the end of a text in dollar quotes.
        (word === bare &&
          word.includes('$') &&
          bare.split('$').some((part) => words.has(part.toLowerCase()))) ||
        (word !== bare && /[^\p{L}\p{N}_$]/u.test(bare) && has(bare))
      )
        return true;
    }
    return false;
  };
  return {
    areIn: has,
    linesIn: (text) => text.split('\n').flatMap((line, at) => (has(line) ? [at + 1] : [])),
  };
}
