/** Drafts of functions, procedures and aggregates. */
import { qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

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
    const isLeakproof = routine.leakproof && context.target.isSuperuser;
    if (routine.leakproof && !isLeakproof)
      context.leaveOut(`LEAKPROOF of ${id}`, 'it takes a superuser on the target');
    const definition = isLeakproof ? routine.definition : withoutLeakproof(routine.definition);
    const signature = `${routine.kind.toUpperCase()} ${qname(routine)}(${routine.identityArguments})`;
    return [
      draft({
        key: routine.key,
        id,
        // Not OR REPLACE: a function of the same name on the target is not ours to overwrite.
        create: [definition.replace(/^CREATE OR REPLACE /, 'CREATE ')],
        after: commentsOn(context, routine.key, signature),
      }),
    ];
  });
}

/** The word stands on a line of attributes, before the body. */
function withoutLeakproof(definition: string): string {
  return definition.replace(/^((?: [A-Z]+)*) LEAKPROOF\b/m, '$1');
}

export function aggregateDrafts(context: DraftContext): Draft[] {
  return context.model.aggregates.map((aggregate) => {
    const parameters = aggregate.parameters.filter(
      (parameter) => context.targetVersion >= 110_000 || !/^M?FINALFUNC_MODIFY /.test(parameter),
    );
    return draft({
      key: aggregate.key,
      id: `${objectId('aggregate', aggregate.schema, aggregate.name)}(${aggregate.identityArguments})`,
      create: [`CREATE AGGREGATE ${qname(aggregate)}(${aggregate.arguments}) (${parameters.join(', ')})`],
      after: commentsOn(
        context,
        aggregate.key,
        `AGGREGATE ${qname(aggregate)}(${aggregate.identityArguments})`,
      ),
    });
  });
}
