/** The options that say how changes are read and from where: a publication, a decoder, a slot, an LSN, a time. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { AppError } from '../../../base/errors/app-error.ts';
import { parseLsn, type Lsn } from '../../../engine/change/lsn.ts';
import { DECODERS } from '../../../contract/task-spec.ts';
import { parseTime } from '../../../engine/change/commit-time.ts';
import { assertStartFits } from '../../../service/task/source/start-position.ts';
import type { TaskFileSpec } from '../../../service/task/request/task-file.ts';
import type { MigrationRequest } from '../../../service/task/task-run.ts';

export interface StartFlags {
  readonly slot?: string;
  readonly publication?: string;
  readonly decoder?: MigrationRequest['decoder'];
  readonly startLsn?: Lsn;
  readonly startTime?: bigint;
}

export type StartChoice = Pick<MigrationRequest, 'publication' | 'decoder' | 'start'>;

export function withStart(command: Command): Command {
  return command
    .option('--publication <name>', 'read changes through this publication of yours, which stays')
    .addOption(
      new Option(
        '--decoder <name>',
        'what decodes the changes on the source (default: pgoutput where the account can have a publication)',
      ).choices(DECODERS),
    )
    .option('--slot <name>', 'changes alone: begin with what this replication slot of yours holds; it stays')
    .option('--start-lsn <lsn>', 'with --slot: begin with the first commit from this LSN on', parseStartLsn)
    .option(
      '--start-time <time>',
      'with --slot: begin with the first commit that is not before this time (ISO 8601 with its zone)',
      parseStartTime,
    );
}

function parseStartLsn(text: string): Lsn {
  try {
    return parseLsn(text);
  } catch {
    throw new InvalidArgumentError('Write an LSN such as 16/B374D848.');
  }
}

function parseStartTime(text: string): bigint {
  const time = parseTime(text);
  if (time === null)
    throw new InvalidArgumentError('Write a time with its zone, such as 2026-05-01T12:00:00Z.');
  return time;
}

/** Throws USAGE for a position without a slot, or with types that it does not go with. */
export function resolveStart(
  flags: StartFlags,
  file: TaskFileSpec,
  types: MigrationRequest['types'],
): StartChoice {
  const publication = flags.publication ?? file.publication;
  const decoder = flags.decoder ?? file.decoder;
  const slot = flags.slot ?? file.start?.slot;
  // A position among the options stands in for the one in the file, whichever kind that is.
  const isGiven = flags.startLsn !== undefined || flags.startTime !== undefined;
  const inFile = isGiven ? undefined : file.start;
  const lsn = flags.startLsn ?? (inFile?.lsn === undefined ? null : parseLsn(inFile.lsn));
  const time = flags.startTime ?? (inFile?.time === undefined ? null : parseTime(inFile.time));
  if (slot === undefined && (lsn !== null || time !== null)) {
    throw new AppError('USAGE', {
      problem: 'A position to begin at needs a slot that holds it: one made now holds nothing earlier.',
      remedy: 'Name a replication slot of the source with --slot; pg_replication_slots lists them.',
    });
  }
  const start = slot === undefined ? {} : { start: { slot, lsn, time } };
  assertStartFits({ types, ...start });
  return {
    ...(publication === undefined ? {} : { publication }),
    ...(decoder === undefined ? {} : { decoder }),
    ...start,
  };
}
