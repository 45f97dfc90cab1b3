/** Drafts of operator families, of the classes in them, and of what is in a family only. */
import type {
  FamilyMember,
  OperatorClassInfo,
  OperatorFamilyInfo,
} from '../../pg/catalog/operators/operator-classes.ts';
import { ident, qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

export function operatorClassDrafts(context: DraftContext): Draft[] {
  const { families, classes, members } = context.model.operatorClasses;
  const ofClass = Map.groupBy(members, ({ operatorClass }) => operatorClass);
  const loose = Map.groupBy(ofClass.get(null) ?? [], ({ family }) => family.key);
  const own = new Set(families.map(({ key }) => key));
  return [
    ...families.map((family) => familyDraft(family, context)),
    ...classes.map((one) => classDraft(one, ofClass.get(one.key) ?? [], context)),
    ...[...loose.values()].map((group) => looseDraft(group, own)),
  ].filter((one) => isAllowed(one, context));
}

function isAllowed(one: Draft, context: DraftContext): boolean {
  if (context.target.isSuperuser) return true;
  if (one.isFollowUp) context.lack(one.id, one.key);
  else context.leaveOut(one.id, 'it takes a superuser on the target', one.key);
  return false;
}

function familyDraft(family: OperatorFamilyInfo, context: DraftContext): Draft {
  const called = `OPERATOR FAMILY ${qname(family)} USING ${ident(family.method)}`;
  return draft({
    key: family.key,
    id: `${objectId('operator family', family.schema, family.name)} using ${family.method}`,
    create: [`CREATE ${called}`],
    after: commentsOn(context, family.key, called),
  });
}

function classDraft(one: OperatorClassInfo, members: readonly FamilyMember[], context: DraftContext): Draft {
  const parts = [
    ...members.map(({ sql }) => sql),
    // Without any part there would be no list: the storage may stand there in any case.
    ...(one.storage !== null || members.length === 0 ? [`STORAGE ${one.storage ?? one.type}`] : []),
  ];
  return draft({
    key: one.key,
    id: `${objectId('operator class', one.schema, one.name)} using ${one.method}`,
    create: [
      `CREATE OPERATOR CLASS ${qname(one)}${one.isDefault ? ' DEFAULT' : ''} FOR TYPE ${one.type} USING ${ident(one.method)} FAMILY ${one.family} AS\n  ${parts.join(',\n  ')}`,
    ],
    after: commentsOn(context, one.key, `OPERATOR CLASS ${qname(one)} USING ${ident(one.method)}`),
    needs: members.map(({ needs }) => needs),
  });
}

/** Also what was added to a family of the server itself. */
function looseDraft(members: readonly FamilyMember[], own: ReadonlySet<string>): Draft {
  const { family } = members[0] ?? { family: { key: '', schema: '', name: '', method: '' } };
  return draft({
    key: `members:${family.key}`,
    id: `${objectId('members of operator family', family.schema, family.name)} using ${family.method}`,
    create: [
      `ALTER OPERATOR FAMILY ${qname(family)} USING ${ident(family.method)} ADD\n  ${members.map(({ sql }) => sql).join(',\n  ')}`,
    ],
    needs: [...(own.has(family.key) ? [family.key] : []), ...members.map(({ needs }) => needs)],
    attachedTo: own.has(family.key) ? family.key : null,
    isFollowUp: true,
  });
}
