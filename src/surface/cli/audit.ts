/** `opendts audit`: who did what on a server; `opendts audit export`: all of it as JSON lines, for other systems. */
import { Argument } from 'commander';
import { EXIT } from '../../base/errors/exit.ts';
import type { Answer } from '../../contract/api/operations.ts';
import { accessTo, callApi } from './api-client.ts';
import type { CliCommand } from './context.ts';
import { withJson } from './options/task-options.ts';
import { document } from './view/json.ts';
import { table } from './view/text.ts';
import { taken } from './view/write-parts.ts';

const SHOWN = 50;
const PAGE = 200;

interface AuditFlags {
  readonly group?: string;
  readonly from?: string;
  readonly to?: string;
  readonly json?: boolean;
}

export const auditCommand: CliCommand = {
  define(program) {
    const command = program
      .command('audit')
      .description(
        `who did what on a server, the newest first: the last ${SHOWN}; export: all of it, one JSON document a line`,
      )
      .addArgument(new Argument('[action]', 'export').choices(['export']))
      .option('--group <name>', 'only in this resource group (else: who administers opendts, everything)')
      .option('--from <time>', 'not before this time, or day in UTC (2026-11-01, 2026-11-01T12:00:00Z)')
      .option('--to <time>', 'before this time, or day in UTC');
    return withJson(command);
  },

  async run(command, { config, signal, stdout }) {
    const { group, json = false, ...period } = command.opts<AuditFlags>();
    const isExport = command.args[0] === 'export';
    const access = accessTo(config);
    const read = async (cursor: string | null): Promise<Answer<'audit.list'>> => {
      const page = { ...period, limit: isExport ? PAGE : SHOWN, ...(cursor === null ? {} : { cursor }) };
      if (group === undefined) return (await callApi(access, 'audit.list', page, signal)).answer;
      return (await callApi(access, 'audit.listGroup', { group, ...page }, signal)).answer;
    };
    let page = await read(null);
    if (!isExport) {
      stdout.write(
        json
          ? document({ kind: 'AuditList', data: { items: page.items } })
          : `${shown(page.items).join('\n')}\n`,
      );
      return EXIT.ok;
    }
    for (;;) {
      // Whoever reads more slowly than we do is waited for.
      await taken(stdout, page.items.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
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
