/** Compares two schemas by what would be run to create each of them. Pure. */
import { ofRights } from './ddl/rights-ddl.ts';
import type { SchemaStep } from './plan.ts';

/** What of a plan is compared. */
interface Texts {
  readonly steps: readonly Pick<SchemaStep, 'id' | 'statements'>[];
}

export interface SchemaDifference {
  /** As in the plan: `table shop.orders`. */
  readonly id: string;
  readonly kind: 'missing' | 'extra' | 'different';
  /** What creates it as it is on the source; none where it is `extra`. */
  readonly source: readonly string[];
  /** What creates it as it is on the target; none where it is `missing`. */
  readonly target: readonly string[];
}

/** Also where the source's is called otherwise on the target. */
const ON_EVERY_SERVER = 'schema public';

/**
 * Both plans are for the same version, so what that cannot have is left out of both. `missing`: the target lacks it; `extra`: only the
 * target has it. In the order of the source's plan, extra objects last. `canonical` gives texts that mean the same one form. Of an object
 * that only one has the rights are not worth a line.
 */
export function diffPlans(
  source: Texts,
  target: Texts,
  canonical: (statement: string) => string,
): SchemaDifference[] {
  const there = new Map(target.steps.map((step) => [step.id, step.statements]));
  const here = new Set(source.steps.map(({ id }) => id));
  const isOfMissing = (id: string, elsewhere: { has(id: string): boolean }) => {
    const of = ofRights(id);
    return of !== null && !elsewhere.has(of);
  };
  return [
    ...source.steps.flatMap(({ id, statements }): SchemaDifference[] => {
      if (isOfMissing(id, there)) return [];
      const other = there.get(id);
      if (other === undefined) return [{ id, kind: 'missing', source: statements, target: [] }];
      return isSame(statements, other) || isSame(statements.map(canonical), other.map(canonical))
        ? []
        : [{ id, kind: 'different', source: statements, target: other }];
    }),
    ...target.steps.flatMap(({ id, statements }): SchemaDifference[] =>
      here.has(id) || id === ON_EVERY_SERVER || isOfMissing(id, here)
        ? []
        : [{ id, kind: 'extra', source: [], target: statements }],
    ),
  ];
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((statement, at) => statement === other[at]);
}
