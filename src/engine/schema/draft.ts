/** One thing to create on the target before its place in the order is known, and what the writers of drafts share. */
import type { QualifiedName } from '../change/relation.ts';
import type { CommentInfo } from '../pg/catalog/comments.ts';
import { NONE } from '../pg/catalog/shared.ts';
import { type ObjectKey } from '../pg/catalog/user-object.ts';
import { ident, literal, qname } from '../pg/ident.ts';
import type { SchemaModel, TableModel } from './model.ts';
import type { RightsChoice } from './rights/rights-choice.ts';
import { optionSince } from './since.ts';
import type { TargetFacts } from './target-facts.ts';

/** In the order of running; the data are copied between the first and the second. */
export const PHASES = ['pre-data', 'index', 'foreign-key', 'post-data'] as const;
export type Phase = (typeof PHASES)[number];

/**
 * A part of an object that could also be added later: a default, a CHECK. It is created in the object's own step, unless
 * that would make a cycle or would hold the object back until after the data.
 */
export interface Piece {
  readonly key: ObjectKey;
  readonly id: string;
  /** `ALTER TABLE ONLY "s"."t"`, followed by `command`. */
  readonly on: string;
  /** The same when the piece is added later, when the table may have children. */
  readonly onLater: string;
  readonly command: string;
  /** Several commands with the same `on` may be joined by commas. */
  readonly joins: boolean;
  /** Statements after it: its comment. */
  readonly after: readonly string[];
  /** A view's SELECT: it stands in `create`, unless a cycle runs through it, when the owner's `stub` is created instead. */
  readonly isBody?: true;
}

export interface Draft {
  readonly key: ObjectKey;
  readonly id: string;
  /** The earliest phase it may run in. */
  readonly phase: Phase;
  readonly create: readonly string[];
  /** Instead of `create` where the body comes later. */
  readonly stub: readonly string[];
  readonly pieces: readonly Piece[];
  /** Run after the pieces. */
  readonly after: readonly string[];
  /** What it needs beyond what pg_depend says. */
  readonly needs: readonly ObjectKey[];
  /** What it comes after, and does without where that fails. */
  readonly follows: readonly ObjectKey[];
  /** The relation it goes with: migrated exactly when that is (a sequence also when something else needs it). */
  readonly attachedTo: ObjectKey | null;
  readonly creates: QualifiedName | null;
  readonly relkind: string | null;
  readonly weight: bigint;
  /** Waits for all indexes of its owner that are built, whichever they are. */
  readonly waitsForIndexes: boolean;
  /** A second half of another draft, not worth a line of its own in reports. */
  readonly isFollowUp: boolean;
  /** Run also where something it needs cannot be there: rows would be lost without it. */
  readonly isVital: boolean;
}

/** The weight of a step whose cost is not known: it shares no transaction with others. */
export const ALONE = 1n << 62n;

/** A draft with the parts most kinds leave empty filled in. */
export function draft(
  given: Pick<Draft, 'key' | 'id' | 'create'> & Partial<Omit<Draft, 'key' | 'id' | 'create'>>,
): Draft {
  return {
    phase: 'pre-data',
    attachedTo: null,
    creates: null,
    relkind: null,
    weight: 0n,
    waitsForIndexes: false,
    isFollowUp: false,
    isVital: false,
    ...given,
    create: exact(given.create),
    stub: exact(given.stub),
    pieces: exact(given.pieces),
    after: exact(given.after),
    needs: exact(given.needs),
    follows: exact(given.follows),
  };
}

/** A list that was put together has room for a dozen more, which is most of what the drafts of a large schema would take. */
function exact<T>(list: readonly T[] = NONE): readonly T[] {
  return list.length === 0 ? NONE : list.slice();
}

/** What the writers of drafts look up, and where they say what they leave out. */
export interface DraftContext {
  readonly model: SchemaModel;
  readonly target: TargetFacts;
  /** `server_version_num` of the target. */
  readonly targetVersion: number;
  readonly tables: ReadonlyMap<ObjectKey, TableModel>;
  /** Name of a table, view or materialized view. */
  readonly relations: ReadonlyMap<ObjectKey, QualifiedName>;
  readonly comments: ReadonlyMap<ObjectKey, readonly CommentInfo[]>;
  readonly rights: RightsChoice;
  /** Those of the target's roles that are created only now. */
  readonly createdRoles: ReadonlySet<string>;
  isSelected(table: ObjectKey): boolean;
  /** Whether the step of this id has been run on the target. */
  isDone(id: string): boolean;
  /** Records for the report why something is not created as it is; with `key`, not at all, and neither is what needs it. */
  leaveOut(id: string, reason: string, key?: ObjectKey): void;
  /** The same without a line in the report: only what needs it is worth one. */
  lack(id: string, key: ObjectKey): void;
  /** Records for the report what an object that is created does not have; only where it takes part. Null: the whole database does. */
  remark(object: ObjectKey | null, id: string, reason: string): void;
  /** Records why a table cannot be created. */
  block(table: ObjectKey, reason: string): void;
}

/** The statements for the comments of an object; `what` is `TABLE "s"."t"`, `CONSTRAINT "c" ON "s"."t"`. Comments of columns need `relation`. */
export function commentsOn(
  context: DraftContext,
  key: ObjectKey,
  what: string,
  relation?: QualifiedName,
): string[] {
  return (context.comments.get(key) ?? []).flatMap(({ column, text }) => {
    if (column === null) return [`COMMENT ON ${what} IS ${literal(text)}`];
    return relation ? [`COMMENT ON COLUMN ${qname(relation)}.${ident(column)} IS ${literal(text)}`] : [];
  });
}

/** `fillfactor=70` as `"fillfactor"='70'`; with `namespace` as `toast."fillfactor"='70'`. */
export function optionsSql(options: readonly string[], namespace = ''): string[] {
  return options.map((option) => {
    const at = option.indexOf('=');
    return `${namespace}${ident(option.slice(0, at))}=${literal(option.slice(at + 1)).trimStart()}`;
  });
}

/** Without those that the target does not know, which are said by name. */
export function knownOptions(options: readonly string[], id: string, context: DraftContext): string[] {
  return options.filter((option) => {
    const since = optionSince(option);
    if (since <= context.targetVersion) return true;
    context.leaveOut(
      `option ${option} of ${id}`,
      `it needs PostgreSQL ${Math.trunc(since / 10_000)} on the target`,
    );
    return false;
  });
}

/** ` USING "columnar"` for a table or materialized view; nothing where the target has no such access method. */
export function usingMethod(method: string | null, id: string, context: DraftContext): string {
  if (method === null || context.targetVersion < 120_000) return '';
  if (context.target.accessMethods.has(method)) return ` USING ${ident(method)}`;
  context.leaveOut(`access method ${method} of ${id}`, 'the target lacks it; it is heap there');
  return '';
}

/** ` WITH (…)`, or nothing. */
export function withClause(options: readonly string[]): string {
  return options.length > 0 ? ` WITH (${options.join(', ')})` : '';
}
