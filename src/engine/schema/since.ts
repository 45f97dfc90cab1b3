/** What came with which version, as data: storage options, and forms of SQL that the server writes definitions in. */
import type { BuiltinNames } from '../pg/catalog/builtin-names.ts';

/** The first version (`server_version_num`) that knows a storage option, or a value of it. */
const OPTION_SINCE: Readonly<Record<string, number>> = {
  toast_tuple_target: 110_000,
  vacuum_index_cleanup: 120_000,
  'vacuum_index_cleanup=auto': 140_000,
  vacuum_truncate: 120_000,
  autovacuum_vacuum_insert_threshold: 130_000,
  autovacuum_vacuum_insert_scale_factor: 130_000,
  deduplicate_items: 130_000,
  autovacuum_vacuum_max_threshold: 180_000,
  vacuum_max_eager_freeze_failure_rate: 180_000,
};

/** Of an option as the catalog has it, `fillfactor=70`. */
export function optionSince(option: string): number {
  return OPTION_SINCE[option] ?? OPTION_SINCE[option.slice(0, option.indexOf('='))] ?? 0;
}

/** Functions of the server over arrays, which since PostgreSQL 14 take the type of elements that both arguments can have. */
const COMPATIBLE_SINCE_14 =
  /\bpg_catalog\.(?:array_(?:append|prepend|cat|positions?|remove|replace)|width_bucket)\b/;

/** An operator or aggregate over such functions, with the types that they take on the target. */
export function withCompatibleTypes(sql: string, source: number, target: number): string {
  if (source >= 140_000 || target < 140_000 || !COMPATIBLE_SINCE_14.test(sql)) return sql;
  return sql.replaceAll(/\bany(array|element)\b/g, (_, kind) =>
    kind === 'array' ? 'anycompatiblearray' : 'anycompatible',
  );
}

/** In definitions without their literals and quoted names; the server writes the words of the language in capitals. */
const FORM_SINCE: readonly { readonly form: RegExp; readonly since: number; readonly name: string }[] = [
  {
    form: /\b(?:GROUPS (?:BETWEEN|[A-Z0-9])|EXCLUDE (?:CURRENT ROW|GROUP|TIES))/,
    since: 110_000,
    name: 'a window frame of GROUPS or with EXCLUDE',
  },
  { form: /\bAS (?:NOT )?MATERIALIZED \(/, since: 120_000, name: 'WITH … AS MATERIALIZED' },
  { form: /\bWITH TIES\b/, since: 130_000, name: 'WITH TIES' },
  { form: /\bNORMALIZE\(|\bIS (?:NOT )?(?:NFK?[CD] )?NORMALIZED\b/, since: 130_000, name: 'NORMALIZE' },
  { form: /\bSEARCH (?:BREADTH|DEPTH) FIRST BY\b/, since: 140_000, name: 'SEARCH in WITH RECURSIVE' },
  {
    form: /\bCYCLE (?:""|\w)+(?:, (?:""|\w)+)* SET (?:""|\w)+ /,
    since: 140_000,
    name: 'CYCLE in WITH RECURSIVE',
  },
  { form: /\bGROUP BY DISTINCT\b/, since: 140_000, name: 'GROUP BY DISTINCT' },
  { form: /\bUSING \([^()]*\) AS\b/, since: 140_000, name: 'JOIN … USING … AS' },
  { form: /\bSUBSTRING\([^;]* SIMILAR /, since: 140_000, name: 'SUBSTRING … SIMILAR' },
  { form: /\bJSON_(?:OBJECT|ARRAY|OBJECTAGG|ARRAYAGG)\(/, since: 160_000, name: 'an SQL/JSON constructor' },
  { form: /\bIS (?:NOT )?JSON\b/, since: 160_000, name: 'IS JSON' },
  {
    form: /\bJSON_(?:TABLE|EXISTS|QUERY|VALUE|SCALAR|SERIALIZE)\(|\bJSON\(/,
    since: 170_000,
    name: 'an SQL/JSON function',
  },
  { form: /\bAT LOCAL\b/, since: 170_000, name: 'AT LOCAL' },
  { form: /\bRETURNING WITH \(/, since: 180_000, name: 'RETURNING WITH (OLD …, NEW …)' },
];

/** Why the target cannot have a definition, or null. `isOurs`: we have written it, so that every name in it that is not a type is quoted. */
export type FindAbsent = (sql: string, isOurs: boolean) => string | null;

/** Null when nothing can be absent. */
export function absences(
  source: { readonly version: number; readonly builtins: BuiltinNames },
  target: { readonly version: number; readonly builtins: BuiltinNames },
): FindAbsent | null {
  const missing = (kind: keyof BuiltinNames) =>
    new Set([...source.builtins[kind]].filter((name) => !target.builtins[kind].has(name)));
  const [functions, types, classes] = [missing('functions'), missing('types'), missing('operatorClasses')];
  const forms = FORM_SINCE.filter(({ since }) => since > target.version && source.version >= since);
  if (functions.size + types.size + classes.size + forms.length === 0) return null;
  const named = (found: RegExpExecArray, names: ReadonlySet<string>) => {
    const name = found[1] ?? '';
    return names.has(name) ? name : null;
  };
  return (sql, isOurs) => {
    const bare = withoutLiterals(sql);
    for (const { form, since, name } of forms)
      if (form.test(bare)) return `${name} needs PostgreSQL ${Math.trunc(since / 10_000)} on the target`;
    for (const found of bare.matchAll(/(?<![.\w"])([a-z_][a-z_0-9]*)\(/g)) {
      const name = named(found, functions);
      if (name !== null) return `the target has no function ${name}()`;
    }
    for (const found of bare.matchAll(/\bpg_catalog\.([a-z_][a-z_0-9]*)/g)) {
      const name = named(found, functions);
      if (name !== null) return `the target has no function ${name}()`;
    }
    for (const found of bare.matchAll(isOurs ? /(?<![.\w"])([a-z_][a-z_0-9]*)/g : /::([a-z_][a-z_0-9]*)/g)) {
      const name = named(found, types);
      if (name !== null) return `the target has no type ${name}`;
    }
    for (const found of bare.matchAll(/(?<![.\w"])([a-z_0-9]+_ops)\b/g)) {
      const name = named(found, classes);
      if (name !== null) return `the target has no operator class ${name}`;
    }
    return null;
  };
}

/** Strings and quoted names become empty ones, dollar-quoted bodies vanish. */
function withoutLiterals(sql: string): string {
  return sql.replace(/(\$[A-Za-z_]*\$)[\s\S]*?\1|'(?:[^']|'')*'|"(?:[^"]|"")*"/g, (found) =>
    found.startsWith('"') ? '""' : "''",
  );
}
