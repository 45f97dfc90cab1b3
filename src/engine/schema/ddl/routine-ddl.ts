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
    const signature = `${routine.kind.toUpperCase()} ${qname(routine)}(${routine.identityArguments})`;
    return [
      draft({
        key: routine.key,
        id,
        // Not OR REPLACE: a function of the same name on the target is not ours to overwrite.
        create: [routine.definition.replace(/^CREATE OR REPLACE /, 'CREATE ')],
        after: commentsOn(context, routine.key, signature),
      }),
    ];
  });
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
