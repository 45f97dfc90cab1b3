/** A schema with every kind of object that is migrated, for the tests of schema migration. Runs with PostgreSQL's own search_path. */
import type { Major } from './global-setup.ts';

const BASE = `
CREATE SCHEMA shop;
CREATE SCHEMA "Odd.Schema ""x""
next line";
COMMENT ON SCHEMA shop IS 'it''s a \\ shop';

CREATE TYPE shop.mood AS ENUM ('sad', 'it''s "ok"', 'Happy');
ALTER TYPE shop.mood ADD VALUE 'before ok' BEFORE 'it''s "ok"';
COMMENT ON TYPE shop.mood IS 'how they feel';

CREATE FUNCTION shop.is_code(value text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT value ~ '^[A-Z]+$' $$;
CREATE DOMAIN shop.code AS varchar(12) COLLATE "C" DEFAULT 'NONE' NOT NULL
  CONSTRAINT code_form CHECK (shop.is_code(VALUE)) CONSTRAINT code_short CHECK (length(VALUE) < 10);
COMMENT ON DOMAIN shop.code IS 'a code';
COMMENT ON CONSTRAINT code_form ON DOMAIN shop.code IS 'letters';
CREATE DOMAIN shop.loose AS integer;
ALTER DOMAIN shop.loose ADD CONSTRAINT loose_positive CHECK (VALUE > 0) NOT VALID;
CREATE TYPE shop.address AS (street text COLLATE "C", code shop.code, moods shop.mood[]);
COMMENT ON COLUMN shop.address.street IS 'with number';
CREATE FUNCTION shop.text_gap(a text, b text) RETURNS double precision LANGUAGE sql IMMUTABLE AS $$ SELECT 1.0::double precision $$;
CREATE TYPE shop.text_span AS RANGE (SUBTYPE = text, COLLATION = "C", SUBTYPE_DIFF = shop.text_gap);

CREATE SEQUENCE shop.tickets AS smallint INCREMENT BY -3 MINVALUE -300 MAXVALUE 30 START WITH 27 CACHE 5 CYCLE;
COMMENT ON SEQUENCE shop.tickets IS 'backwards';
CREATE FUNCTION shop.next_ticket() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'T' || nextval('shop.tickets'); END $$;

CREATE TABLE shop.customers (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 10 CACHE 3),
  name text NOT NULL,
  mood shop.mood DEFAULT 'Happy'::shop.mood,
  code shop.code,
  home shop.address,
  favourite_order integer,
  referrer bigint,
  ticket text DEFAULT shop.next_ticket(),
  full_name text GENERATED ALWAYS AS (upper(name) || '!') STORED,
  span shop.text_span,
  CONSTRAINT customers_pkey PRIMARY KEY (id),
  CONSTRAINT customers_code_key UNIQUE (code) INCLUDE (name) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT customers_name_check CHECK (name <> '')
) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
ALTER TABLE shop.customers ALTER name SET STORAGE EXTERNAL, ALTER name SET STATISTICS 500, ALTER name SET (n_distinct = -0.5);
INSERT INTO shop.customers (name, code, mood) VALUES ('longer than five', 'ABC', 'Happy'), ('b', 'B', 'sad');
ALTER TABLE shop.customers ADD CONSTRAINT customers_late CHECK (length(name) < 5) NOT VALID;
COMMENT ON TABLE shop.customers IS 'who buys';
COMMENT ON COLUMN shop.customers.name IS 'their name';
COMMENT ON CONSTRAINT customers_pkey ON shop.customers IS 'the key';
COMMENT ON CONSTRAINT customers_name_check ON shop.customers IS 'not empty';

CREATE TABLE shop.orders (
  id serial,
  customer bigint NOT NULL,
  total numeric(12, 2) DEFAULT 0.00,
  state shop.mood,
  during tsrange,
  notes character varying(40)[] DEFAULT '{}',
  CONSTRAINT orders_pkey PRIMARY KEY (id) WITH (fillfactor = 80),
  CONSTRAINT orders_during EXCLUDE USING gist (during WITH &&) WITH (fillfactor = 60) WHERE (id > 0)
);
INSERT INTO shop.orders (customer, total) VALUES (1000, 3), (1010, 4);
ALTER TABLE shop.customers ADD CONSTRAINT customers_favourite FOREIGN KEY (favourite_order) REFERENCES shop.orders ON DELETE SET NULL;
ALTER TABLE shop.customers ADD CONSTRAINT customers_referrer FOREIGN KEY (referrer) REFERENCES shop.customers DEFERRABLE;
ALTER TABLE shop.orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES shop.customers ON UPDATE CASCADE;
ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_late FOREIGN KEY (customer) REFERENCES shop.customers NOT VALID;
COMMENT ON CONSTRAINT orders_customer ON shop.orders IS 'whose';
CREATE INDEX orders_sad ON shop.orders ((customer % 7), total DESC NULLS LAST) WHERE state = 'sad'::shop.mood;
ALTER INDEX shop.orders_sad ALTER COLUMN 1 SET STATISTICS 300;
CREATE INDEX orders_total ON shop.orders USING brin (total) WITH (pages_per_range = 16);
CREATE UNIQUE INDEX orders_customer_total ON shop.orders (customer, id);
COMMENT ON INDEX shop.orders_total IS 'coarse';
ALTER TABLE shop.orders CLUSTER ON orders_pkey;
ALTER TABLE shop.orders REPLICA IDENTITY USING INDEX orders_customer_total;
ALTER TABLE shop.customers REPLICA IDENTITY FULL;

-- A table whose check and default need a function that needs the table.
CREATE TABLE shop.looped (id integer PRIMARY KEY, size integer);
CREATE FUNCTION shop.looped_fits(shop.looped) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1.size > 0 $$;
CREATE FUNCTION shop.looped_size(shop.looped DEFAULT NULL) RETURNS integer LANGUAGE sql AS $$ SELECT 7 $$;
ALTER TABLE shop.looped ADD CONSTRAINT looped_fits CHECK (shop.looped_fits(looped));
ALTER TABLE shop.looped ALTER size SET DEFAULT shop.looped_size();

CREATE UNLOGGED TABLE shop.scratch (id integer, v shop.loose);
CREATE TYPE shop.pair AS (a integer, b text);
CREATE TABLE shop.typed OF shop.pair (a WITH OPTIONS NOT NULL DEFAULT 3);

CREATE TABLE shop.events (id bigint NOT NULL, at timestamptz NOT NULL, kind text COLLATE "C", customer bigint,
  CONSTRAINT events_pkey PRIMARY KEY (id, at, kind), CONSTRAINT events_id CHECK (id > 0)) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2024 PARTITION OF shop.events FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00') PARTITION BY LIST (kind);
CREATE TABLE shop.events_2024_ab PARTITION OF shop.events_2024 (customer DEFAULT 5) FOR VALUES IN ('a', 'b''s');
CREATE TABLE shop.events_2024_rest PARTITION OF shop.events_2024 DEFAULT;
CREATE TABLE shop.events_old (extra integer, customer bigint, kind text COLLATE "C" NOT NULL, at timestamptz NOT NULL, id bigint NOT NULL,
  CONSTRAINT events_id CHECK (id > 0), CONSTRAINT events_old_only CHECK (customer > 0));
ALTER TABLE shop.events_old DROP COLUMN extra;
ALTER TABLE shop.events ATTACH PARTITION shop.events_old FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00:00+00');
CREATE INDEX events_customer ON shop.events (customer);
CREATE INDEX events_2024_ab_own ON shop.events_2024_ab (customer);
ALTER TABLE shop.events ADD CONSTRAINT events_customer FOREIGN KEY (customer) REFERENCES shop.customers;
CREATE TABLE shop.event_notes (n smallint GENERATED BY DEFAULT AS IDENTITY, id bigint, at timestamptz, kind text COLLATE "C", FOREIGN KEY (id, at, kind) REFERENCES shop.events);
CREATE TABLE shop.hashed (id integer, v text) PARTITION BY HASH (id);
CREATE TABLE shop.hashed_0 PARTITION OF shop.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.hashed_1 PARTITION OF shop.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
COMMENT ON TABLE shop.events_2024 IS 'a year';

CREATE TABLE shop.animals (id integer DEFAULT 1, name text NOT NULL DEFAULT 'x', CONSTRAINT animals_id CHECK (id > 0), CONSTRAINT animals_own CHECK (id < 9) NO INHERIT);
CREATE TABLE shop.pets (owner text) INHERITS (shop.animals);
ALTER TABLE ONLY shop.pets ALTER id SET DEFAULT 2, ALTER name DROP DEFAULT;
ALTER TABLE ONLY shop.pets ADD CONSTRAINT pets_id CHECK (id < 100);
CREATE TABLE shop.dogs (owner text, age integer) INHERITS (shop.pets);

CREATE VIEW shop.customer_totals WITH (security_barrier = true) AS
  SELECT c.id, c.name, c.mood, sum(o.total) AS "Sum Total" FROM shop.customers c JOIN shop.orders o ON o.customer = c.id GROUP BY c.id;
CREATE VIEW shop.happy AS SELECT * FROM shop.customer_totals WHERE mood = 'Happy';
CREATE VIEW shop.cheap AS SELECT id, total FROM shop.orders WHERE total < 10 WITH LOCAL CHECK OPTION;
ALTER VIEW shop.cheap ALTER total SET DEFAULT 5;
COMMENT ON VIEW shop.cheap IS 'not much';
COMMENT ON COLUMN shop.cheap.total IS 'the sum';
CREATE RECURSIVE VIEW shop.chain (id, depth) AS
  SELECT id, 1 FROM shop.customers UNION ALL SELECT c.id, chain.depth + 1 FROM chain JOIN shop.customers c ON c.referrer = chain.id;
CREATE FUNCTION shop.totals(minimum numeric DEFAULT (random() * 0)::numeric, VARIADIC more integer[] DEFAULT '{}') RETURNS SETOF shop.happy
  LANGUAGE sql STABLE SECURITY DEFINER SET work_mem TO '8MB' AS $$ SELECT * FROM shop.happy $$;
COMMENT ON FUNCTION shop.totals(numeric, integer[]) IS 'sums';
CREATE VIEW shop.from_function AS SELECT t.id FROM shop.totals(1) t;
CREATE MATERIALIZED VIEW shop.z_base AS SELECT id, total FROM shop.orders;
CREATE VIEW shop.between_them AS SELECT id FROM shop.z_base;
CREATE MATERIALIZED VIEW shop.a_top WITH (fillfactor = 50) AS SELECT count(*) AS n FROM shop.between_them;
CREATE MATERIALIZED VIEW shop.never AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX z_base_id ON shop.z_base (id);
COMMENT ON MATERIALIZED VIEW shop.a_top IS 'counted';

CREATE PROCEDURE shop.clean(INOUT n integer) LANGUAGE plpgsql AS $$ BEGIN n := 0; END $$;
COMMENT ON PROCEDURE shop.clean(integer) IS 'cleans';
CREATE FUNCTION shop.add_one(state bigint, value shop.loose) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT state + 1 $$;
CREATE AGGREGATE shop.tally(shop.loose) (SFUNC = shop.add_one, STYPE = bigint, INITCOND = '0', PARALLEL = SAFE);
COMMENT ON AGGREGATE shop.tally(shop.loose) IS 'counts';
CREATE AGGREGATE shop.third(double precision ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);

CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF total ON shop.orders FOR EACH ROW WHEN (NEW.total > 0) EXECUTE FUNCTION shop.touch('a', 'b''c');
CREATE TRIGGER never_fires AFTER DELETE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TRIGGER "Replica Only" AFTER INSERT ON shop.orders REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION shop.touch();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shop.orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TRIGGER on_parts AFTER INSERT ON shop.events FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TRIGGER instead INSTEAD OF INSERT ON shop.happy FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.orders DISABLE TRIGGER never_fires;
ALTER TABLE shop.orders ENABLE REPLICA TRIGGER "Replica Only";
COMMENT ON TRIGGER touch ON shop.orders IS 'touches';
CREATE RULE no_delete AS ON DELETE TO shop.scratch DO INSTEAD NOTHING;
CREATE RULE log_insert AS ON INSERT TO shop.cheap DO INSTEAD INSERT INTO shop.orders (id, total, customer) VALUES (NEW.id, NEW.total, 1);
ALTER TABLE shop.scratch ENABLE ALWAYS RULE no_delete;
COMMENT ON RULE no_delete ON shop.scratch IS 'kept';

CREATE TABLE "Odd.Schema ""x""
next line"."Table.With ""dots""" ("Col umn" serial PRIMARY KEY, "select" text DEFAULT 'a''b\\c', "new
line" "shop"."mood", CONSTRAINT "check; --" CHECK ("select" <> 'x'), UNIQUE ("select"));
CREATE INDEX "In.dex" ON "Odd.Schema ""x""
next line"."Table.With ""dots""" (("select" || 'x'));
CREATE VIEW "Odd.Schema ""x""
next line"."View %s" AS SELECT "Col umn" AS "A ""q""" FROM "Odd.Schema ""x""
next line"."Table.With ""dots""";
`;

const SINCE: Readonly<Record<number, string>> = {
  14: `
ALTER TABLE shop.orders ALTER notes SET COMPRESSION pglz;
CREATE FUNCTION shop.happy_count() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM shop.happy; END;
CREATE VIEW shop.a_count AS SELECT shop.happy_count() AS n;
CREATE TABLE shop.counted (id integer DEFAULT shop.happy_count());
CREATE TYPE shop.span AS RANGE (SUBTYPE = integer, MULTIRANGE_TYPE_NAME = shop.many_spans);
CREATE TABLE shop.spans (v shop.many_spans, w shop.span[]);
CREATE TRIGGER before_parts BEFORE INSERT ON shop.events FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.events_old DISABLE TRIGGER before_parts;
`,
  15: `
CREATE TABLE shop.nulls (a integer, b integer, CONSTRAINT nulls_a UNIQUE NULLS NOT DISTINCT (a));
CREATE UNIQUE INDEX nulls_b ON shop.nulls (b) NULLS NOT DISTINCT;
CREATE VIEW shop.invoked WITH (security_invoker = true) AS SELECT id FROM shop.orders;
CREATE UNLOGGED SEQUENCE shop.fleeting;
ALTER TABLE shop.orders ADD CONSTRAINT orders_some FOREIGN KEY (customer, id) REFERENCES shop.pairs (a, b) ON DELETE SET NULL (id) NOT VALID;
`,
  17: `
CREATE TABLE shop.identified (id integer GENERATED ALWAYS AS IDENTITY (START WITH 50), v text) PARTITION BY RANGE (id);
CREATE TABLE shop.identified_1 PARTITION OF shop.identified FOR VALUES FROM (1) TO (100);
`,
  18: `
CREATE TABLE shop.modern (id integer CONSTRAINT id_is_there NOT NULL, twice integer GENERATED ALWAYS AS (id * 2) VIRTUAL, v text, w integer,
  CONSTRAINT maybe CHECK (w > 0) NOT ENFORCED);
ALTER TABLE shop.modern ADD CONSTRAINT v_late NOT NULL v NOT VALID;
CREATE TABLE shop.temporal (id int4range, at tsrange, CONSTRAINT temporal_pkey PRIMARY KEY (id, at WITHOUT OVERLAPS));
`,
};

/** The statements, in one string, that a server of this version can run. */
export function richSchema(major: Major): string {
  const later = Object.entries(SINCE)
    .filter(([since]) => Number(since) <= major)
    .map(([, sql]) => sql);
  const pairs = 'CREATE TABLE shop.pairs (a bigint, b integer, UNIQUE (a, b));\n';
  return [BASE, pairs, ...later].join('');
}
