/** What a task is called on the source: its slot, its publication and its sessions. */

export interface SourceNames {
  readonly slot: string;
  readonly publication: string;
}

/** `named`: what of them the user has made and named. */
export function sourceNames(
  taskId: string,
  named: { readonly slot?: string | undefined; readonly publication?: string | undefined } = {},
): SourceNames {
  const own = `dts_sync_${taskId}`;
  return { slot: named.slot ?? own, publication: named.publication ?? own };
}

/** Shown in pg_stat_activity of both ends; a takeover finds the old owner's sessions by the prefix (I7). */
export function applicationName(taskId: string, role: string): string {
  return `opendts:${taskId}:${role}`;
}
