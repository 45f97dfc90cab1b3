/**
 * Repeats CREATE INDEX and DROP INDEX of the source on the target (--ddl apply), one after the other and beside the stream, which need not
 * wait: CONCURRENTLY, and only once the target is as far as the command. What fails is told, and stops nothing.
 */
import { toAppError } from '../../../base/errors/app-error.ts';
import { sleep } from '../../../base/runtime/sleep.ts';
import { LSN_ZERO, type Lsn } from '../../../engine/change/lsn.ts';
import { displayName, nameKey, type QualifiedName } from '../../../engine/change/relation.ts';
import { ident, qname } from '../../../engine/pg/ident.ts';
import { readCatalogColumns } from '../../../engine/pg/catalog/tables/column-facts.ts';
import type { TableInfo } from '../../../engine/pg/catalog/tables/tables.ts';
import type { ObjectKey } from '../../../engine/pg/catalog/user-object.ts';
import { PgError } from '../../../engine/pg/pg-error.ts';
import type { Session } from '../../../engine/pg/session.ts';
import { announcedOf, buildBeside } from '../../../engine/schema/run/build-beside.ts';
import type { SchemaStep } from '../../../engine/schema/plan.ts';
import { objectId } from '../../../engine/schema/object-id.ts';
import { parseName } from '../../../engine/selection/selection.ts';
import type { DdlEvent } from '../../../engine/source/helpers/ddl-event.ts';
import { forgetSteps, readDoneSteps, recordSteps } from '../../../engine/target/books/schema-steps.ts';
import { warn, type TaskRun } from '../task-run.ts';
import { openTargetTexts } from './target-texts.ts';

interface Waiting {
  readonly event: DdlEvent;
  readonly finalLsn: Lsn;
}

interface SourceIndex extends QualifiedName {
  readonly key: ObjectKey;
  readonly table: number;
  readonly isUnique: boolean;
  /** What stands behind USING in its definition. */
  readonly method: string;
  readonly isPartitioned: boolean;
  readonly isValid: boolean;
  readonly isConstraint: boolean;
}

const LOOK_MS = 300;

export function isIndexCommand({ tag }: DdlEvent): boolean {
  return tag === 'CREATE INDEX' || tag === 'DROP INDEX';
}

export class IndexRepeater implements AsyncDisposable {
  private readonly run: TaskRun;
  /** How far the target is. */
  recorded: Lsn = LSN_ZERO;
  private readonly closing = new AbortController();
  private readonly signal: AbortSignal;
  private readonly waiting: Waiting[] = [];
  private work: Promise<void> | null = null;
  private hasChanged = false;

  constructor(run: TaskRun) {
    this.run = run;
    this.signal = AbortSignal.any([run.hooks.signal, this.closing.signal]);
  }

  /** Indexes have changed by which rows may be found: the stream is to begin again. */
  get isReady(): boolean {
    return this.hasChanged;
  }

  /** The stream has begun again. */
  settle(): void {
    this.hasChanged = false;
  }

  /** There is something to do that waits for no table. */
  get isBusy(): boolean {
    return this.waiting.some((one) => !this.isHeld(one));
  }

  add(event: DdlEvent, finalLsn: Lsn): void {
    this.waiting.push({ event, finalLsn });
    this.work ??= this.workOff().finally(() => (this.work = null));
  }

  /** Its table stands still, and may lack what the command speaks of. */
  private isHeld({ event }: Waiting): boolean {
    const { book, followed } = this.run;
    const oids = new Set(event.tables.map(({ oid }) => oid));
    const names = new Set(followed.filter(({ oid }) => oids.has(oid)).map(nameKey));
    return book.stopped.some(({ table }) => names.has(nameKey(table)));
  }

  /** Never rejects. */
  private async workOff(): Promise<void> {
    for (let one = this.waiting[0]; one && !this.signal.aborted; one = this.waiting[0]) {
      if (this.recorded <= one.finalLsn || this.isHeld(one)) {
        await sleep(LOOK_MS, this.signal);
        continue;
      }
      for (const identity of indexesOf(one.event)) await this.repeat(one.event, identity);
      this.waiting.shift();
    }
  }

  private async repeat({ tag }: DdlEvent, identity: string): Promise<void> {
    const { run, signal } = this;
    try {
      await using target = await run.ends.openTarget('index');
      const cut = () => target.destroy();
      signal.addEventListener('abort', cut, { once: true });
      try {
        const done =
          tag === 'CREATE INDEX' ? await this.create(identity, target) : await this.drop(identity, target);
        if (done !== null)
          run.hooks.onEvent({
            level: 'info',
            phase: run.book.phase,
            message: `${done} on the target, as on the source`,
          });
      } finally {
        signal.removeEventListener('abort', cut);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      const problem = thrown instanceof PgError ? thrown.shown : toAppError(thrown).message;
      warn(
        run,
        `${tag} was run on the source (index ${identity}) and is not repeated on the target: ${problem}`,
      );
    }
  }

  /** Null where there is nothing to do. */
  private async create(identity: string, target: Session): Promise<string | null> {
    const { run } = this;
    await using source = await run.ends.openSource('ddl');
    const index = await readIndex(source, identity);
    const table = index && run.followed.find(({ oid }) => oid === index.table);
    if (!index || !table || index.isConstraint) return null;
    if (index.isPartitioned)
      throw new Error('those of partitioned tables are made when the migration is run again');
    if (!index.isValid) throw new Error('it is not valid on the source');
    const on = run.targetOf(table);
    if (run.request.partitions === 'plain' && table.rootOid !== null && nameKey(on) !== nameKey(table))
      throw new Error(`it is of a partition, whose rows stand in ${displayName(on)}`);
    const creates = { schema: on.schema, name: index.name };
    const id = stepOf(creates);
    const done = await readDoneSteps(target, run.taskId);
    if (await stands(target, creates, on)) return null;
    const statement = await statementOf(run, { index, table, on }, source);
    const announced = announcedOf(done);
    const record = (session: Session, steps: readonly SchemaStep[]) => recordSteps(session, run, steps);
    const what = { phase: 'index', relkind: 'i', owner: null, dependsOn: [], needs: [], weight: 0n } as const;
    const step: SchemaStep = { ...what, id, creates, statements: [statement] };
    if (!(await buildBeside(target, step, { announced, record })))
      throw new Error('the target cannot build an index beside others');
    if (!done.has(id)) await target.transaction(() => record(target, [step]));
    this.hasChanged ||= index.isUnique;
    return `index ${displayName(creates)} was created`;
  }

  /** Only one that this task has made: a user's own may bear the same name. */
  private async drop(identity: string, target: Session): Promise<string | null> {
    const { run } = this;
    const { schema, name } = parseName(identity);
    if (schema === null) return null;
    const tables = run.followed.filter((table) => table.schema === schema).map(run.targetOf);
    const done = await readDoneSteps(target, run.taskId);
    const ids = [...new Set(tables.map((table) => stepOf({ schema: table.schema, name })))].filter((id) =>
      done.has(id),
    );
    if (ids.length === 0) return null;
    const found = (await ownersOf(target, name, tables)).filter((one) => done.has(stepOf(one)));
    if (found.length > 1)
      throw new Error(
        `which index of the target it was cannot be told: ${found.map(displayName).join(', ')}`,
      );
    const [index] = found;
    if (index) await target.query(`DROP INDEX CONCURRENTLY IF EXISTS ${qname(index)}`);
    await target.transaction(() =>
      forgetSteps(
        target,
        run,
        ids.flatMap((id) => [id, `building ${id}`]),
      ),
    );
    if (!index) return null;
    this.hasChanged = true;
    return `index ${displayName(index)} was dropped`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort();
    await this.work;
  }
}

function indexesOf({ objects }: DdlEvent): string[] {
  return objects
    .filter((object) => object.startsWith('index '))
    .map((object) => object.slice('index '.length));
}

/** What makes it on the target. */
async function statementOf(
  run: TaskRun,
  { index, table, on }: { index: SourceIndex; table: TableInfo; on: QualifiedName },
  source: Session,
): Promise<string> {
  const now = (await readCatalogColumns(source, [table.oid])).get(table.oid) ?? [];
  const texts = await openTargetTexts(run, { ...table, now }, source);
  const lacking = texts.lacks(index.key);
  if (lacking !== null) throw new Error(`it needs column "${lacking}", which is left out`);
  // On the table as the task knows it, and the target's texts name it.
  const of = run.mapping.changesNames ? table : on;
  return texts.index(
    `CREATE ${index.isUnique ? 'UNIQUE ' : ''}INDEX ${ident(index.name)} ON ${qname(of)} USING ${index.method}`,
  );
}

/** Under the names of the target. */
function stepOf({ schema, name }: QualifiedName): string {
  return objectId('index', schema, name);
}

/** Null when it is gone again. */
async function readIndex(source: Session, identity: string): Promise<SourceIndex | null> {
  const [row] = await source.query(
    `SELECT n.nspname AS schema, c.relname AS name, 'pg_class:' || c.oid AS key, i.indrelid::text AS table, i.indisunique::text AS is_unique, i.indisvalid::text AS valid,
            (c.relkind = 'I')::text AS is_partitioned, pg_catalog.pg_get_indexdef(c.oid) AS definition,
            pg_catalog.format('CREATE %sINDEX %I ON %I.%I USING ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END,
              c.relname, tn.nspname, t.relname) AS head,
            EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))::text AS is_constraint
       FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
      WHERE c.oid = pg_catalog.to_regclass($1)`,
    [identity],
  );
  if (!row) return null;
  const { definition, head } = { definition: row.definition ?? '', head: row.head ?? '' };
  const isPartitioned = row.is_partitioned === 'true';
  if (!isPartitioned && !definition.startsWith(head)) throw new Error('its definition is not understood');
  return {
    key: row.key ?? '',
    schema: row.schema ?? '',
    name: row.name ?? '',
    table: Number(row.table),
    isUnique: row.is_unique === 'true',
    method: definition.slice(head.length),
    isPartitioned,
    isValid: row.valid === 'true',
    isConstraint: row.is_constraint === 'true',
  };
}

/** A valid index of this name is on this table already. */
async function stands(target: Session, index: QualifiedName, table: QualifiedName): Promise<boolean> {
  const rows = await target.query(
    `SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass($1) AND i.indrelid = pg_catalog.to_regclass($2) AND i.indisvalid`,
    [qname(index), qname(table)],
  );
  return rows.length > 0;
}

/** The indexes of this name on these tables, but for those of constraints. */
async function ownersOf(
  target: Session,
  name: string,
  tables: readonly QualifiedName[],
): Promise<QualifiedName[]> {
  const rows = await target.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
       JOIN pg_catalog.json_array_elements($2::json) w ON tn.nspname = w.value ->> 0 AND t.relname = w.value ->> 1
      WHERE c.relname = $1 AND c.relkind = 'i' AND NOT i.indisreplident
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))`,
    [name, JSON.stringify(tables.map((table) => [table.schema, table.name]))],
  );
  return rows.map((row) => ({ schema: row.schema ?? '', name: row.name ?? '' }));
}
