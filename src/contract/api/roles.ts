/** Who may do what in a resource group, in words: the roles, and the rights that operations ask for. */

export const ROLES = ['viewer', 'operator', 'migrator', 'switcher', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** Rights that a member may have beyond those of the role: what is done with connections, and seeing values of rows. */
export const CONNECTION_RIGHTS = ['connection.use', 'connection.edit', 'rows.see'] as const;
export type ConnectionRight = (typeof CONNECTION_RIGHTS)[number];

/** What an operation in a group needs. `operate`: run what is there; `migrate`: make it, start it, end it. */
export type Right = 'view' | 'operate' | 'migrate' | 'administer' | ConnectionRight;
