/** `opendts audit`: who did what on a server; all of it as JSON lines, for other systems. */
import { EXIT } from '../../base/errors/exit.ts';
import type { Answer } from '../../contract/api/operations.ts';
import { accessTo, callApi } from './api-client.ts';
import type { CliCommand } from './context.ts';
import { toJson } from './view/json.ts';
import { table } from './view/text.ts';

const SHOWN = 50;
const PAGE = 200;

interface AuditFlags {
  readonly group?: string;
  readonly export?: boolean;
}

export const auditCommand: CliCommand = {
  define(program) {
    return program
      .command('audit')
      .description(`who did what on a server, the newest first (the last ${SHOWN})`)
      .option('--group <name>', 'only in this resource group (else: who administers opendts, everything)')
      .option('--export', 'all of it, one JSON document a line');
  },

  async run(command, { config, signal, stdout }) {
    const flags = command.opts<AuditFlags>();
    const access = accessTo(config);
    const limit = flags.export ? PAGE : SHOWN;
    const read = async (cursor: string | null): Promise<Answer<'audit.list'>> => {
      const page = { limit, ...(cursor === null ? {} : { cursor }) };
      if (flags.group === undefined) return (await callApi(access, 'audit.list', page, signal)).answer;
      return (await callApi(access, 'audit.listGroup', { group: flags.group, ...page }, signal)).answer;
    };
    let page = await read(null);
    if (!flags.export) {
      stdout.write(`${shown(page.items).join('\n')}\n`);
      return EXIT.ok;
    }
    for (;;) {
      stdout.write(page.items.map((entry) => `${toJson(entry)}\n`).join(''));
      if (page.nextCursor === null) break;
      page = await read(page.nextCursor);
    }
    return EXIT.ok;
  },
};

function shown(items: Answer<'audit.list'>['items']): string[] {
  const rows = items.map(
    ({ at, account, address, operation, group, object, objectId, outcome, errorCode }) => [
      at.slice(0, 19),
      account ?? '-',
      address,
      operation,
      group ?? '',
      object ?? objectId ?? '',
      errorCode ?? outcome,
    ],
  );
  return table(['time (UTC)', 'who', 'from', 'what', 'group', 'on', 'outcome'], rows);
}
