import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dependency } from '../pg/catalog/dependencies.ts';
import type { RoutineInfo } from '../pg/catalog/routines.ts';
import type { ViewInfo } from '../pg/catalog/views.ts';
import type { SchemaModel, TableModel } from './model.ts';
import { planSchema, type SchemaPlan } from './plan.ts';
import { everyRight } from './rights/rights-facts.ts';
import type { TargetFacts } from './target-facts.ts';

const EMPTY: SchemaModel = {
  version: 180_000,
  schemas: [],
  enums: [],
  domains: [],
  composites: [],
  ranges: [],
  sequences: [],
  tables: [],
  constraints: [],
  indexes: [],
  views: [],
  routines: [],
  aggregates: [],
  triggers: [],
  rules: [],
  operators: [],
  operatorClasses: { families: [], classes: [], members: [] },
  casts: [],
  collations: [],
  conversions: [],
  textSearch: { dictionaries: [], configurations: [] },
  statistics: [],
  policies: [],
  comments: [],
  rights: { owners: [], grants: [], defaults: [], settings: [], roles: [], memberships: [] },
  dependencies: [],
  extensions: [],
  extensionMembers: [],
  builtins: { functions: new Set(), types: new Set(), operatorClasses: new Set() },
  notMigrated: [],
  unwritable: new Map(),
  toLookAt: new Map(),
  lostInMerging: [],
};

function table(oid: number, given: { parent?: number; expression?: string } = {}): TableModel {
  const key = `pg_class:${oid}`;
  const isPartition = given.parent !== undefined;
  return {
    key,
    info: {
      oid,
      rootOid: given.parent ?? null,
      schema: 's',
      name: `t${oid}`,
      kind: 'r',
      isPartition,
      persistence: 'permanent',
      replicaIdentity: 'default',
      identityColumns: [],
      estimatedRows: 0,
      bytes: BigInt(oid),
      columns: [
        {
          attnum: 1,
          name: 'id',
          typeOid: 23,
          typmod: -1,
          type: 'integer',
          bareType: 'integer',
          typeKind: 'b',
          isArray: false,
          isBuiltinType: true,
          notNull: false,
          generated: '',
          identity: '',
          deterministic: true,
        },
      ],
    },
    definition: {
      key,
      partitionKey: null,
      partitionBound: isPartition ? 'DEFAULT' : null,
      parents: isPartition ? [`pg_class:${given.parent}`] : [],
      options: [],
      toastOptions: [],
      accessMethod: null,
      ofType: null,
      hasOids: false,
      rowSecurity: false,
      forcedRowSecurity: false,
      columns: [
        {
          name: 'id',
          attnum: 1,
          isLocal: true,
          expression: given.expression ?? null,
          expressionKey: given.expression ? `pg_attrdef:${oid}` : null,
          collation: null,
          storage: null,
          compression: null,
          statistics: null,
          options: [],
          notNullConstraint: null,
        },
      ],
    },
  };
}

function view(oid: number, isMaterialized = false): ViewInfo {
  return {
    key: `pg_class:${oid}`,
    schema: 's',
    name: `v${oid}`,
    isMaterialized,
    query: 'SELECT 1',
    options: [],
    queryKey: `pg_rewrite:${oid}0`,
    toastOptions: [],
    columns: [],
    populated: true,
    accessMethod: null,
    defaults: [],
  };
}

function routine(oid: number): RoutineInfo {
  return {
    key: `pg_proc:${oid}`,
    schema: 's',
    name: `f${oid}`,
    kind: 'function',
    identityArguments: '',
    definition: 'CREATE OR REPLACE FUNCTION f()',
    hasSqlBody: false,
    language: 'sql',
    leakproof: false,
    settings: [],
  };
}

const TARGET: TargetFacts = {
  version: 180_000,
  isSuperuser: true,
  bypassesRowSecurity: true,
  roles: new Set(),
  rights: everyRight('there', new Set()),
  languages: new Set(['sql']),
  settings: new Set(),
  accessMethods: new Set(['btree']),
  extensions: new Set(),
  creatable: new Set(),
  hasLz4: true,
  builtins: EMPTY.builtins,
  refused: new Map(),
};

const needs = (object: string, on: string): Dependency => ({ object, on, isPart: false });
const isPartOf = (object: string, on: string): Dependency => ({ object, on, isPart: true });

function planOf(model: Partial<SchemaModel>): SchemaPlan {
  return planSchema(
    { ...EMPTY, ...model },
    { includesTable: () => true, wholeDatabase: true, done: new Set() },
    TARGET,
  );
}

const idsOf = (plan: SchemaPlan) => plan.steps.map((step) => step.id);

describe('the order of a plan', () => {
  it('puts a function before the view that calls it and the table before the function that takes its rows', () => {
    const plan = planOf({
      tables: [table(1)],
      views: [view(2)],
      routines: [routine(3)],
      dependencies: [
        isPartOf('pg_rewrite:20', 'pg_class:2'),
        needs('pg_rewrite:20', 'pg_proc:3'),
        needs('pg_proc:3', 'pg_type:10'),
        isPartOf('pg_type:10', 'pg_class:1'),
      ],
    });
    expect(idsOf(plan)).toEqual(['table s.t1', 'function s.f3()', 'view s.v2']);
    expect(plan.steps[2]!.dependsOn).toEqual(['function s.f3()']);
  });

  it('keeps a default in its table, after the function it calls', () => {
    const plan = planOf({
      tables: [table(1, { expression: 's.f3()' })],
      routines: [routine(3)],
      dependencies: [needs('pg_attrdef:1', 'pg_proc:3'), needs('pg_attrdef:1', 'pg_class:1')],
    });
    expect(idsOf(plan)).toEqual(['function s.f3()', 'table s.t1']);
    expect(plan.steps[1]!.statements).toContain(
      'ALTER TABLE ONLY "s"."t1" ALTER COLUMN "id" SET DEFAULT s.f3()',
    );
  });

  it('cuts a cycle by setting the default later', () => {
    const plan = planOf({
      tables: [table(1, { expression: 's.f3(NULL)' })],
      routines: [routine(3)],
      dependencies: [needs('pg_attrdef:1', 'pg_proc:3'), needs('pg_proc:3', 'pg_class:1')],
    });
    expect(idsOf(plan)).toEqual(['table s.t1', 'function s.f3()', 'default s.t1.id']);
    expect(plan.steps.every((step) => step.phase === 'pre-data')).toBe(true);
  });

  it('moves what needs a primary key, and what needs that, behind the data; a table keeps its place and gets the default later', () => {
    const plan = planOf({
      tables: [table(1), table(2, { expression: 's.f3()' })],
      views: [view(4)],
      routines: [routine(3)],
      indexes: [index(5, 1)],
      constraints: [primaryKey(6, { table: 1, index: 5 })],
      dependencies: [
        isPartOf('pg_class:5', 'pg_constraint:6'),
        needs('pg_class:4', 'pg_constraint:6'),
        needs('pg_proc:3', 'pg_class:4'),
        needs('pg_attrdef:2', 'pg_proc:3'),
      ],
    });
    expect(plan.steps.map(({ phase, id }) => `${phase}: ${id}`)).toEqual([
      'pre-data: table s.t1',
      'pre-data: table s.t2',
      'index: index of primary key s.t1.i5',
      'index: primary key s.t1.i5',
      'index: view s.v4',
      'index: function s.f3()',
      'index: default s.t2.id',
    ]);
    expect(plan.steps[4]!.dependsOn).toEqual(['primary key s.t1.i5']);
  });

  it('lets a primary key wait for the other indexes of its table, but not for one that needs the key itself', () => {
    const plan = planOf({
      tables: [table(1)],
      views: [view(4)],
      routines: [routine(3)],
      indexes: [index(5, 1), index(7, 1), index(8, 1)],
      constraints: [primaryKey(6, { table: 1, index: 5 })],
      dependencies: [
        isPartOf('pg_class:5', 'pg_constraint:6'),
        needs('pg_class:4', 'pg_constraint:6'),
        needs('pg_proc:3', 'pg_class:4'),
        needs('pg_class:8', 'pg_proc:3'),
      ],
    });
    const key = plan.steps.find(({ id }) => id === 'primary key s.t1.i5');
    expect(key?.dependsOn).toEqual(['index of primary key s.t1.i5', 'index s.i7']);
  });

  it('builds the indexes of partitions before that of their parent', () => {
    const plan = planOf({
      tables: [table(1), table(2, { parent: 1 })],
      indexes: [
        { ...index(5, 1), isPartitioned: true },
        { ...index(6, 2), parent: 'pg_class:5' },
      ],
    });
    expect(idsOf(plan)).toEqual(['table s.t1', 'table s.t2', 'index s.i6', 'index s.i5']);
    expect(plan.steps[3]!.dependsOn).toEqual(['index s.i6']);
    expect(plan.steps[3]!.statements.at(-1)).toBe('ALTER INDEX "s"."i5" ATTACH PARTITION "s"."i6"');
    expect(plan.steps[2]!.weight).toBe(2n);
  });

  it('fills materialized views after those they read through views', () => {
    const plan = planOf({
      views: [view(1, true), view(2), view(3, true)],
      dependencies: [needs('pg_class:1', 'pg_class:2'), needs('pg_class:2', 'pg_class:3')],
    });
    expect(idsOf(plan)).toEqual([
      'materialized view s.v3',
      'view s.v2',
      'materialized view s.v1',
      'refresh of materialized view s.v3',
      'refresh of materialized view s.v1',
    ]);
  });

  it('puts every step after what it needs, whatever the dependencies; members of a cycle still appear once', () => {
    const edges = fc.array(fc.tuple(fc.nat({ max: 14 }), fc.nat({ max: 14 })), { maxLength: 40 });
    fc.assert(
      fc.property(edges, fc.boolean(), (pairs, acyclic) => {
        const used = acyclic ? pairs.filter(([from, to]) => from > to) : pairs;
        // Names run against the numbers, so that the given order is mostly the wrong one.
        const routines = Array.from({ length: 15 }, (_, number) => routine(14 - number));
        const plan = planOf({
          routines,
          dependencies: used.map(([from, to]) => needs(`pg_proc:${from}`, `pg_proc:${to}`)),
        });
        const ids = idsOf(plan);
        expect(ids.toSorted()).toEqual(routines.map(({ name }) => `function s.${name}()`).toSorted());
        for (const step of plan.steps)
          for (const needed of step.dependsOn) expect(ids.indexOf(needed)).toBeLessThan(ids.indexOf(step.id));
        if (!acyclic) return;
        for (const [from, to] of used)
          expect(ids.indexOf(`function s.f${to}()`)).toBeLessThan(ids.indexOf(`function s.f${from}()`));
      }),
    );
  });
});

function index(oid: number, tableOid: number): SchemaModel['indexes'][number] {
  return {
    key: `pg_class:${oid}`,
    schema: 's',
    name: `i${oid}`,
    table: `pg_class:${tableOid}`,
    definition: `CREATE UNIQUE INDEX i${oid} ON s.t${tableOid} USING btree (id)`,
    isPartitioned: false,
    parent: null,
    valid: true,
    clustered: false,
    replicaIdentity: false,
    nullsNotDistinct: false,
    hasIncluded: false,
    options: [],
    optionTexts: [],
    method: 'btree',
    hasClassOptions: false,
    statistics: [],
  };
}

function primaryKey(oid: number, on: { table: number; index: number }): SchemaModel['constraints'][number] {
  return {
    key: `pg_constraint:${oid}`,
    table: `pg_class:${on.table}`,
    name: `i${on.index}`,
    kind: 'primary key',
    definition: 'PRIMARY KEY (id)',
    validated: true,
    enforced: true,
    isLocal: true,
    parent: null,
    index: `pg_class:${on.index}`,
    references: null,
    deferrable: false,
    deferred: false,
    temporal: false,
  };
}
