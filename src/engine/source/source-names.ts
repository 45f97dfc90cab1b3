/** What a task is called on the source: its slot, its publication and its sessions. */

export interface SourceNames {
  readonly slot: string;
  readonly publication: string;
}

export function sourceNames(taskId: string): SourceNames {
  return { slot: `dts_sync_${taskId}`, publication: `dts_sync_${taskId}` };
}

/** Shown in pg_stat_activity of both ends; a takeover finds the old owner's sessions by the prefix (I7). */
export function applicationName(taskId: string, role: string): string {
  return `opendts:${taskId}:${role}`;
}
