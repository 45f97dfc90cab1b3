/** Twenty-five parents and twenty-five children that refer to them, and a load of which a fifth are deletes. */
import type { DataTable } from '../data-sets.ts';

const PAIRS = 25;
const PARENTS = 1000;
const CHILDREN = 3;

const two = (at: number) => String(at).padStart(2, '0');

/** Each parent has three children; the load goes on from there. */
export function mixedTables(): DataTable[] {
  const pairs = Array.from({ length: PAIRS }, (_, at) => two(at + 1));
  const parents = pairs.map((at) => ({
    name: `parent_${at}`,
    create: `CREATE TABLE public.parent_${at} (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2), changed timestamptz)`,
    fill: `INSERT INTO public.parent_${at} SELECT i, 'parent ' || i, i / 7.0, timestamptz '2024-01-01 00:00:00+00' FROM pg_catalog.generate_series(1, ${PARENTS}) i`,
    keys: [],
  }));
  const children = pairs.map((at) => ({
    name: `child_${at}`,
    create: `CREATE TABLE public.child_${at} (id bigint PRIMARY KEY, parent bigint NOT NULL REFERENCES public.parent_${at}, quantity int NOT NULL,
      note text, data jsonb)`,
    fill: `INSERT INTO public.child_${at} SELECT i, (i + ${CHILDREN - 1}) / ${CHILDREN}, i % 100, pg_catalog.md5(i::text), pg_catalog.jsonb_build_object('i', i)
      FROM pg_catalog.generate_series(1, ${PARENTS * CHILDREN}) i`,
    keys: [`CREATE INDEX ON public.child_${at} (parent)`],
  }));
  return [...parents, ...children];
}

/**
 * A transaction: one new parent with its three children, four updates, and two deletes of what is oldest: the three children of a parent,
 * then the parent. Each session has pairs of its own, so that it knows what is there.
 */
export const MIXED_LOAD = `CREATE PROCEDURE public.bench_load(session int, sessions int, transactions bigint) LANGUAGE plpgsql AS $$
  DECLARE
    newest bigint[] := pg_catalog.array_fill(${PARENTS}::bigint, ARRAY[${PAIRS}]);
    gone bigint[] := pg_catalog.array_fill(0::bigint, ARRAY[${PAIRS}]);
    pair int; parent text; child text; top bigint; low bigint; id bigint;
  BEGIN
    PERFORM pg_catalog.setseed(session / 100.0);
    FOR n IN 1..transactions LOOP
      LOOP
        pair := 1 + pg_catalog.floor(pg_catalog.random() * ${PAIRS});
        EXIT WHEN pair % sessions = session - 1;
      END LOOP;
      parent := 'public.parent_' || pg_catalog.lpad(pair::text, 2, '0');
      child := 'public.child_' || pg_catalog.lpad(pair::text, 2, '0');
      top := newest[pair] + 1;
      newest[pair] := top;
      EXECUTE 'INSERT INTO ' || parent || ' VALUES ($1, $2, $3, pg_catalog.now())' USING top, 'parent ' || top, top / 7.0;
      FOR c IN 1..${CHILDREN} LOOP
        EXECUTE 'INSERT INTO ' || child || ' VALUES ($1, $2, $3, pg_catalog.md5($1::text), pg_catalog.jsonb_build_object(''i'', $1))'
          USING (top - 1) * ${CHILDREN} + c, top, c;
      END LOOP;
      FOR d IN 1..2 LOOP
        IF gone[pair] % ${CHILDREN + 1} < ${CHILDREN} THEN
          EXECUTE 'DELETE FROM ' || child || ' WHERE id = $1'
            USING gone[pair] / ${CHILDREN + 1} * ${CHILDREN} + gone[pair] % ${CHILDREN + 1} + 1;
        ELSE
          EXECUTE 'DELETE FROM ' || parent || ' WHERE id = $1' USING gone[pair] / ${CHILDREN + 1} + 1;
        END IF;
        gone[pair] := gone[pair] + 1;
      END LOOP;
      low := gone[pair] / ${CHILDREN + 1} + 2;
      FOR u IN 1..2 LOOP
        id := low + pg_catalog.floor(pg_catalog.random() * (top - low));
        EXECUTE 'UPDATE ' || parent || ' SET amount = amount + 1, changed = pg_catalog.now() WHERE id = $1' USING id;
        EXECUTE 'UPDATE ' || child || ' SET quantity = quantity + 1, note = pg_catalog.md5(note) WHERE id = $1' USING id * ${CHILDREN};
      END LOOP;
      COMMIT;
    END LOOP;
  END $$`;
