/** Drafts of operators and casts. */
import type { CastInfo } from '../../pg/catalog/operators/casts.ts';
import type { OperatorInfo, OperatorLink } from '../../pg/catalog/operators/operators.ts';
import { ident } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';
import { withCompatibleTypes } from '../since.ts';

export function operatorDrafts(context: DraftContext): Draft[] {
  const ours = new Set(context.model.operators.map(({ key }) => key));
  return context.model.operators.flatMap((operator) => {
    const { key, leftType, rightType, name } = operator;
    const operands = `(${leftType ?? 'NONE'}, ${rightType ?? 'NONE'})`;
    const id = `${objectId('operator', operator.schema, name)}${operands}`;
    if (rightType === null && context.targetVersion >= 140_000) {
      context.leaveOut(id, 'PostgreSQL 14 and newer have no operators behind their operand', key);
      return [];
    }
    const adapted = (sql: string) => withCompatibleTypes(sql, context.model.version, context.targetVersion);
    // Its name is made of symbols and cannot be quoted; its schema can.
    const called = `${ident(operator.schema)}.${name}`;
    return [
      draft({
        key,
        id,
        create: [
          adapted(`CREATE OPERATOR ${called} (${parameters(operator, { id, ours, context }).join(', ')})`),
        ],
        after: commentsOn(context, key, operatorName(operator, context)),
      }),
    ];
  });
}

/** `OPERATOR "s".+ (integer, integer)`, with the types that it takes on the target. */
export function operatorName(operator: OperatorInfo, { model, target }: DraftContext): string {
  const operands = `(${operator.leftType ?? 'NONE'}, ${operator.rightType ?? 'NONE'})`;
  const adapted = withCompatibleTypes(`${operator.function} ${operands}`, model.version, target.version);
  return `OPERATOR ${ident(operator.schema)}.${operator.name} ${adapted.slice(operator.function.length + 1)}`;
}

/**
 * Commutator and negator are named wherever they will be: the server makes a shell of one that is not there yet, which its own CREATE
 * OPERATOR fills in. So cycles of them need not be cut.
 */
function parameters(
  operator: OperatorInfo,
  { id, ours, context }: { id: string; ours: ReadonlySet<string>; context: DraftContext },
): string[] {
  const given = (name: string, value: string | null) => (value === null ? [] : [`${name} = ${value}`]);
  const linked = (link: OperatorLink | null) => {
    if (!link || !(link.isBuiltin || ours.has(link.key))) return null;
    if (link.isMutual || context.targetVersion < 170_000) return link.name;
    context.leaveOut(
      `${link.name} as commutator or negator of ${id}`,
      'it does not name that one in turn, which PostgreSQL 17 and newer want',
    );
    return null;
  };
  return [
    `PROCEDURE = ${operator.function}`,
    ...given('LEFTARG', operator.leftType),
    ...given('RIGHTARG', operator.rightType),
    ...given('COMMUTATOR', linked(operator.commutator)),
    ...given('NEGATOR', linked(operator.negator)),
    ...given('RESTRICT', operator.restrict),
    ...given('JOIN', operator.join),
    ...(operator.hashes ? ['HASHES'] : []),
    ...(operator.merges ? ['MERGES'] : []),
  ];
}

const CONTEXT: Readonly<Record<CastInfo['context'], string>> = {
  explicit: '',
  assignment: ' AS ASSIGNMENT',
  implicit: ' AS IMPLICIT',
};

export function castDrafts(context: DraftContext): Draft[] {
  return context.model.casts.flatMap((cast) => {
    const { key, from, to, by } = cast;
    const id = `cast (${from} AS ${to})`;
    if (!context.target.isSuperuser && (by === 'binary' || !cast.isOfUserType)) {
      const what = by === 'binary' ? 'a cast without a function' : "a cast between the server's own types";
      context.leaveOut(id, `${what} takes a superuser on the target`, key);
      return [];
    }
    const how =
      by === 'inout' ? 'WITH INOUT' : by === 'binary' ? 'WITHOUT FUNCTION' : `WITH FUNCTION ${by.function}`;
    return [
      draft({
        key,
        id,
        create: [`CREATE CAST (${from} AS ${to}) ${how}${CONTEXT[cast.context]}`],
        after: commentsOn(context, key, `CAST (${from} AS ${to})`),
      }),
    ];
  });
}
