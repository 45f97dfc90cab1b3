/** What a person may want for a table of a task, while the others go on. */

/**
 * Of any table: `pause`: nothing of it is copied or applied until a `resume`; `skip`: it is left out, and nothing is kept for it; `recopy`: it
 * is emptied on the target and copied again. Of one that has stopped or is paused: `resume`: its changes are tried again; `apply`: the source's change
 * of its columns is made on the target first; `as-is`: it goes on into the target table as that is; `dead-letter`: it goes on, and what the
 * target refuses is kept as dead letters, until a `resume`.
 */
export const TABLE_WISHES = ['pause', 'resume', 'skip', 'recopy', 'apply', 'as-is', 'dead-letter'] as const;
export type TableWish = (typeof TABLE_WISHES)[number];
