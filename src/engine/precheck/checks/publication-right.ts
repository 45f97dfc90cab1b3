/**
 * Which plugin will decode the changes, and why. The rights to create our publication on the source are CREATE on the database, and
 * ownership of every table in it; without them test_decoding serves, where it can.
 */
import { ident } from '../../pg/ident.ts';
import { chooseDecoder, testDecodingProblem, type PublishingRights } from '../../source/decoder-choice.ts';
import type { Check, CheckContext, Finding } from '../check.ts';
import { counted, finding, listedTables } from '../finding.ts';
import { followed, identityFindings } from '../followed-tables.ts';

const NAME = 'publication_right';

export const publicationRight: Check = {
  name: NAME,
  async run(context) {
    const { source, tables, types, publication, start, decoder: wanted = 'auto' } = context;
    if (!types.has('incremental') || start) return [];
    const { decoder, why, publishing } = await chooseDecoder(source, {
      wanted,
      publication: publication ?? null,
      tables: followed(tables),
    });
    const what = `changes are decoded by ${decoder}: ${why}`;
    if (decoder === 'pgoutput') {
      const lacking = publication === undefined ? lackingRights(context, publishing, 'failed') : [];
      return lacking.length > 0 ? lacking : [finding(NAME, 'passed', { what })];
    }
    const impossible = await unusable(context, publishing);
    if (impossible.length > 0) return [...impossible, ...lackingRights(context, publishing, 'failed')];
    const cost =
      'test_decoding sends the changes of all tables of the database; those that are not selected are left out here';
    if (wanted !== 'auto') return [finding(NAME, 'passed', { what, evidence: cost })];
    const fixes = lackingRights(context, publishing, 'alert').map(({ fix, evidence }) => ({ fix, evidence }));
    return [
      finding(NAME, 'alert', {
        what,
        evidence: [...fixes.map(({ evidence }) => evidence), cost].join('; '),
        fix: ['-- for pgoutput, which sends less:', ...fixes.map(({ fix }) => fix ?? '')].join('\n'),
      }),
    ];
  },
};

function lackingRights(
  { sourceInfo, tables }: CheckContext,
  { mayCreate, foreign }: PublishingRights,
  result: Finding['result'],
): Finding[] {
  const role = ident(sourceInfo.user);
  const findings: Finding[] = [];
  if (!mayCreate)
    findings.push(
      finding(NAME, result, {
        what: 'the user may not create a publication in the source database',
        evidence: `no CREATE on database "${sourceInfo.database}"`,
        fix: `GRANT CREATE ON DATABASE ${ident(sourceInfo.database)} TO ${role};`,
      }),
    );
  if (foreign.size > 0)
    findings.push(
      finding(NAME, result, {
        what: `the user does not own ${counted(foreign.size, 'selected table')}, so that it cannot publish them`,
        evidence: `not its own: ${listedTables(tables.filter(({ oid }) => foreign.has(oid)))}`,
        fix: [
          ...[...new Set(foreign.values())].map((owner) => `GRANT ${ident(owner)} TO ${role};`),
          '-- or, as the owner, make a publication of these tables yourself and name it with --publication',
        ].join('\n'),
      }),
    );
  return findings;
}

async function unusable({ source, tables }: CheckContext, { foreign }: PublishingRights): Promise<Finding[]> {
  const problem = await testDecodingProblem(source);
  return [
    ...(problem === null
      ? []
      : [
          finding(NAME, 'failed', {
            what: 'changes cannot be decoded by test_decoding',
            evidence: problem,
            fix: '-- the rights for a publication instead:',
          }),
        ]),
    // Of its own tables the account sets it.
    ...identityFindings(
      NAME,
      tables.filter(({ oid }) => foreign.has(oid)),
    ),
  ];
}
