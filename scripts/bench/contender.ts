/** What every contender is given and how it is started. */
import type { ClusterPair, LoadedData } from './cluster-pair.ts';
import type { Measurement } from './measurement.ts';
import { findTool } from './program.ts';

export interface CopyMeasurement extends Measurement {
  /** The sum of the COPY command tags; null for contenders that do not show them. */
  readonly rowsByTag: bigint | null;
}

export interface CopyJob {
  readonly pair: ClusterPair;
  readonly data: LoadedData;
  /** Connections, or tables and indexes, at the same time. */
  readonly jobs: number;
  /** An empty folder, removed after the run. */
  readonly scratch: string;
  /** Without PG… variables of the caller. */
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

export interface Contender {
  readonly name: string;
  /** `whole`: into an empty database, indexes and ANALYZE included. `data`: rows only, into tables without keys. */
  readonly work: 'whole' | 'data';
  readonly isOurs: boolean;
  /** Tools that must be on PATH. */
  readonly tools: readonly string[];
  /** Copies everything. Throws when the contender says that it failed; whether the copy is right is checked afterwards. */
  run(job: CopyJob): Promise<CopyMeasurement>;
}

/** Why the contender cannot run here; null when it can. */
export function whyNotRun({ tools }: Contender, env: NodeJS.ProcessEnv): string | null {
  const missing = tools.filter((tool) => findTool(tool, env) === null);
  return missing.length > 0 ? `${missing.join(', ')} not installed` : null;
}

/** Both ends of a job as connection URIs. */
export function ends({ pair, data }: Pick<CopyJob, 'pair' | 'data'>): {
  readonly source: string;
  readonly target: string;
} {
  return { source: pair.source.uri(data.database), target: pair.target.uri(data.database) };
}
