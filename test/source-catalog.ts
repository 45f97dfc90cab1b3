/** The catalog of a source, to be compared: before a migration and after its release. */
import type { TestDatabase } from './database.ts';

/** Every object of the database by name, with what a migration might change of it. */
export async function catalog({ session, name }: TestDatabase): Promise<string[]> {
  const rows = await session.query(`
    SELECT 'class ' || c.oid || ' ' || n.nspname || '.' || c.relname || ' ' || c.relreplident::text || ' ' || c.relhastriggers || ' ' || coalesce(c.relacl::text, '') AS line
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL SELECT 'index ' || i.indexrelid || ' ' || i.indisreplident FROM pg_index i
    UNION ALL SELECT 'proc ' || p.oid || ' ' || p.proname FROM pg_proc p
    UNION ALL SELECT 'type ' || t.oid || ' ' || t.typname FROM pg_type t
    UNION ALL SELECT 'namespace ' || n.nspname || ' ' || coalesce(n.nspacl::text, '') FROM pg_namespace n
    UNION ALL SELECT 'attribute ' || a.attrelid || ' ' || a.attname || ' ' || a.attisdropped FROM pg_attribute a
    UNION ALL SELECT 'trigger ' || t.tgname FROM pg_trigger t
    UNION ALL SELECT 'event trigger ' || e.evtname FROM pg_event_trigger e
    UNION ALL SELECT 'publication ' || p.pubname FROM pg_publication p
    UNION ALL SELECT 'published ' || r.prpubid || ' ' || r.prrelid FROM pg_publication_rel r
    UNION ALL SELECT 'description ' || d.classoid || ' ' || d.objoid || ' ' || d.description FROM pg_description d
    UNION ALL SELECT 'shared description ' || d.objoid || ' ' || d.description FROM pg_shdescription d
    UNION ALL SELECT 'slot ' || s.slot_name FROM pg_replication_slots s WHERE s.database = '${name}'
    ORDER BY 1`);
  return rows.map(({ line }) => line ?? '');
}
