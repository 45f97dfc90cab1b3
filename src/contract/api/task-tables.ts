/** What a person may want for one table of a task, while the others go on. */

/**
 * `pause`: its changes wait; `resume`: it goes on (what stopped is tried again); `skip`: it is left out from now on; `recopy`: it is
 * emptied on the target and copied again.
 */
export const TABLE_WISHES = ['pause', 'resume', 'skip', 'recopy'] as const;
export type TableWish = (typeof TABLE_WISHES)[number];
