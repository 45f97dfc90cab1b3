/** What a person may want for a table of a task that has stopped while the others go on. */

/**
 * `resume`: its changes are tried again; `recopy`: it is emptied on the target and copied again; `apply`: the source's change of its
 * columns is made on the target first; `as-is`: it goes on into the target table as that is; `dead-letter`: it goes on, and what the
 * target refuses is kept as dead letters, until a `resume`.
 */
export const TABLE_WISHES = ['resume', 'recopy', 'apply', 'as-is', 'dead-letter'] as const;
export type TableWish = (typeof TABLE_WISHES)[number];
