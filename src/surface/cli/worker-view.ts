/** `opendts worker list` and `drain`: what of the fleet a server shows, and changes. */
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';
import type { Answer } from '../../contract/api/operations.ts';
import { accessTo, callApi } from './api-client.ts';
import type { CliContext } from './context.ts';
import { document } from './view/json.ts';
import { printable, table } from './view/text.ts';

type Shown = Answer<'worker.list'>['items'][number];

export async function listWorkers(json: boolean, { config, signal, stdout }: CliContext): Promise<ExitCode> {
  const { answer } = await callApi(accessTo(config), 'worker.list', {}, signal);
  stdout.write(
    json ? document({ kind: 'Workers', data: answer.items }) : `${lines(answer.items).join('\n')}\n`,
  );
  return EXIT.ok;
}

export async function drainWorker(
  asked: { readonly worker: string; readonly drain: boolean },
  json: boolean,
  { config, signal, stdout }: CliContext,
): Promise<ExitCode> {
  const { answer } = await callApi(accessTo(config), 'worker.drain', asked, signal);
  const what = answer.isDraining ? 'leaves its tasks to others and takes no more' : 'takes tasks again';
  stdout.write(
    json ? document({ kind: 'Worker', data: answer }) : `worker ${printable(answer.name)} ${what}\n`,
  );
  return EXIT.ok;
}

function lines(workers: readonly Shown[]): string[] {
  if (workers.length === 0) return ['no worker runs'];
  const rows = workers.map((worker) => [
    printable(worker.name),
    worker.isAlive ? (worker.isDraining ? 'draining' : 'runs') : 'not seen',
    printable(worker.version),
    printable(`${worker.host}, pid ${worker.pid}`),
    printable(worker.cluster ?? ''),
    `${worker.tasks.length} of ${worker.capacity}`,
    printable(worker.tasks.map(({ name, state }) => `${name} (${state})`).join(', ')),
  ]);
  return table(['worker', 'state', 'version', 'where', 'cluster', 'tasks', 'which'], rows, ['tasks']);
}
