/** Drafts of functions, procedures and aggregates. */
import type { AggregateInfo } from '../../pg/catalog/aggregates.ts';
import type { RoutineInfo } from '../../pg/catalog/routines.ts';
import { qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';
import { withCompatibleTypes } from '../since.ts';

export function routineDrafts(context: DraftContext): Draft[] {
  return context.model.routines.flatMap((routine) => {
    const id = `${objectId(routine.kind, routine.schema, routine.name)}(${routine.identityArguments})`;
    const needsVersion = routine.hasSqlBody ? 14 : routine.kind === 'procedure' ? 11 : 0;
    if (context.targetVersion < needsVersion * 10_000) {
      const what = routine.hasSqlBody ? 'a body in standard SQL' : 'a procedure';
      context.leaveOut(id, `${what} needs PostgreSQL ${needsVersion} on the target`, routine.key);
      return [];
    }
    if (!context.target.languages.has(routine.language)) {
      const what = `the target has no language ${routine.language} that the account may use`;
      context.leaveOut(id, what, routine.key);
      return [];
    }
    // With a dot it is one of an extension, or of the user's own making.
    const unknown = routine.settings.find(
      (name) => !name.includes('.') && !context.target.settings.has(name.toLowerCase()),
    );
    if (unknown !== undefined) {
      context.leaveOut(id, `it sets ${unknown}, which the target does not know`, routine.key);
      return [];
    }
    const isLeakproof = routine.leakproof && context.target.isSuperuser;
    if (routine.leakproof && !isLeakproof)
      context.leaveOut(`LEAKPROOF of ${id}`, 'it takes a superuser on the target');
    const definition = isLeakproof ? routine.definition : withoutLeakproof(routine.definition);
    return [
      draft({
        key: routine.key,
        id,
        // Not OR REPLACE: a function of the same name on the target is not ours to overwrite.
        create: [definition.replace(/^CREATE OR REPLACE /, 'CREATE ')],
        after: commentsOn(context, routine.key, routineName(routine)),
      }),
    ];
  });
}

/** `FUNCTION "s"."f"(integer)`, as other commands name it. */
export function routineName(routine: RoutineInfo): string {
  return `${routine.kind.toUpperCase()} ${qname(routine)}(${routine.identityArguments})`;
}

/** The word stands on a line of attributes, before the body. */
function withoutLeakproof(definition: string): string {
  return definition.replace(/^((?: [A-Z]+)*) LEAKPROOF\b/m, '$1');
}

export function aggregateDrafts(context: DraftContext): Draft[] {
  const { model, target } = context;
  return model.aggregates.flatMap((aggregate) => {
    const { key, identityArguments } = aggregate;
    const id = `${objectId('aggregate', aggregate.schema, aggregate.name)}(${identityArguments})`;
    if (!target.isSuperuser && aggregate.parameters.includes('STYPE = internal')) {
      context.leaveOut(id, 'a state of type internal takes a superuser on the target', key);
      return [];
    }
    const parameters = aggregate.parameters
      .filter((parameter) => target.version >= 110_000 || !/^M?FINALFUNC_MODIFY /.test(parameter))
      .join(', ');
    const adapted = (signature: string) =>
      withCompatibleTypes(`${signature} (${parameters})`, model.version, target.version);
    return [
      draft({
        key,
        id,
        create: [adapted(`CREATE AGGREGATE ${qname(aggregate)}(${aggregate.arguments})`)],
        after: commentsOn(context, key, aggregateName(aggregate, context)),
      }),
    ];
  });
}

/** `AGGREGATE "s"."a"(integer)`, with the types that it takes on the target. */
export function aggregateName(aggregate: AggregateInfo, { model, target }: DraftContext): string {
  const { identityArguments, parameters } = aggregate;
  const called = withCompatibleTypes(
    `AGGREGATE ${qname(aggregate)}(${identityArguments}) (${parameters.join(', ')})`,
    model.version,
    target.version,
  );
  return called.slice(0, called.indexOf(') (') + 1);
}
