/**
 * Copies tables with the relay alone, rows untouched or each decoded and encoded again: what looking at rows costs. Run by
 * relay-contender.ts in a process of its own: source URI, target URI, jobs, "raw" or "decode", names of the tables.
 */
import { connect } from '../../src/engine/pg/connect.ts';
import { parseConninfo } from '../../src/engine/pg/conninfo/parse.ts';
import { ident } from '../../src/engine/pg/ident.ts';
import type { CopyRow } from '../../src/engine/pg/wire/copy-rows.ts';
import { relayCopy } from '../../src/engine/pg/wire/copy-relay.ts';
import { sideBySide } from '../../src/base/runtime/side-by-side.ts';

const [source = '', target = '', jobs = '1', how = '', ...tables] = process.argv.slice(2);
const never = new AbortController().signal;
let rows = 0;
await sideBySide(tables, Number(jobs), async (waiting) => {
  await using from = await connect(parseConninfo(source, 'source'), {
    side: 'source',
    applicationName: 'bench',
  });
  await using to = await connect(parseConninfo(target, 'target'), {
    side: 'target',
    applicationName: 'bench',
  });
  for (const table of waiting) {
    const statements = {
      out: `COPY public.${ident(table)} TO STDOUT`,
      in: `COPY public.${ident(table)} FROM STDIN`,
      transform: how === 'decode' ? (row: CopyRow) => row : null,
      onPass: () => {},
    };
    const { rowsIn } = await relayCopy(from, to, statements, never);
    rows += rowsIn;
  }
});
process.stdout.write(`${rows}\n`);
