/** Tables and transactions that bring every kind of change into the stream, for as long as one likes: the tables do not grow. */

/**
 * `loose` and `loose_toasted` have no key and equal rows; `places` has a second unique key whose values move between rows; values of
 * `toasted` lie outside the row. `written` gets one row for each transaction: what is lost or applied twice shows there.
 */
export const STREAM_TABLES = `
  CREATE TABLE keyed (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, v text);
  INSERT INTO keyed SELECT i, 0, md5(i::text) FROM generate_series(1, 2000) i;
  CREATE TABLE places (id int PRIMARY KEY, place int NOT NULL UNIQUE);
  INSERT INTO places SELECT i, i FROM generate_series(1, 100) i;
  CREATE TABLE loose (a int, b text);
  INSERT INTO loose SELECT i % 20, CASE WHEN i % 3 > 0 THEN 'v' || i % 2 END FROM generate_series(1, 2000) i;
  CREATE TABLE toasted (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, doc text);
  ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL;
  INSERT INTO toasted SELECT i, 0, repeat(md5(i::text), 300) FROM generate_series(1, 50) i;
  CREATE TABLE loose_toasted (a int, doc text);
  ALTER TABLE loose_toasted ALTER doc SET STORAGE EXTERNAL;
  INSERT INTO loose_toasted SELECT i % 5, repeat(md5((i % 5)::text), 150) FROM generate_series(1, 20) i;
  CREATE TABLE emptied (id int PRIMARY KEY, v text);
  CREATE TABLE emptied_too (a int);
  CREATE TABLE part (id int, k int, n int DEFAULT 0, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
  INSERT INTO part SELECT i, i % 2 FROM generate_series(1, 200) i;
  CREATE TABLE bulk (id int PRIMARY KEY, v text);
  CREATE TABLE written (writer int, n int);
  ANALYZE`;

/** Those without a key, whose rows are compared with how often they occur. */
export const LOOSE_TABLES = ['loose', 'loose_toasted', 'emptied_too', 'written'];

/** More changes than one window of the applier takes, in one transaction; most of them in a savepoint, some of them rolled back. */
function bulk(n: number): string {
  return `SAVEPOINT s; DELETE FROM bulk; INSERT INTO bulk SELECT g, md5(${n} || g::text) FROM generate_series(1, 15000) g; RELEASE s;
    SAVEPOINT s; UPDATE bulk SET v = 'lost'; ROLLBACK TO s; UPDATE bulk SET v = v || 'u' WHERE id % 2 = ${n % 2}`;
}

/** How many of the transactions do what costs most to follow. */
export interface Shares {
  /** Change more than a window of the applier takes. */
  readonly bulk: number;
  /** Move values of a unique key between rows: what was to go in as sets is then applied in order. */
  readonly moves: number;
}

/** One transaction of a writer, to be run with `search_path` on the tables. It may fail for a deadlock or a key that is taken. */
export function streamTransaction(writer: number, n: number, shares: Shares): string {
  const id = 1 + Math.floor(Math.random() * 2000);
  const doc = 1 + Math.floor(Math.random() * 50);
  const a = n % 20;
  const free =
    '(SELECT min(g) FROM generate_series(1, 150) g WHERE NOT EXISTS (SELECT FROM places WHERE place = g))';
  const some = (table: string, where: string, count: number) =>
    `ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE ${where} LIMIT ${count}))`;
  const flip = (table: string, one: number) =>
    `UPDATE ${table} SET id = -id WHERE abs(id) = ${one} AND NOT EXISTS (SELECT FROM ${table} o WHERE o.id = -${table}.id)`;
  const work: (readonly [share: number, sql: string])[] = [
    [0.5, `UPDATE keyed SET n = n + 1 WHERE id BETWEEN ${id} AND ${id + 20}`],
    [0.3, `DELETE FROM keyed WHERE id = ${id}`],
    [
      0.4,
      `INSERT INTO keyed SELECT i, ${n}, 'again' FROM generate_series(${id - 5}, ${id + 5}) i ON CONFLICT DO NOTHING`,
    ],
    [0.3, flip('keyed', id)],
    [
      0.1,
      `UPDATE keyed SET v = v WHERE id = ${id}; DELETE FROM keyed WHERE id = ${id}; INSERT INTO keyed VALUES (${id}, -1, NULL)`,
    ],
    [
      shares.moves,
      `UPDATE places SET place = ${free} WHERE id = ${1 + (n % 100)}; UPDATE places SET place = ${free} WHERE id = ${1 + ((n * 7) % 100)}`,
    ],
    [0.4, `INSERT INTO loose VALUES (${a}, 'v1'), (${a}, 'v1'), (NULL, NULL)`],
    [
      0.4,
      `DELETE FROM loose WHERE ${some('loose', `a = ${a}`, 2)}; DELETE FROM loose WHERE ${some('loose', 'a IS NULL', 1)}`,
    ],
    [0.4, `UPDATE loose SET a = ${(a + 1) % 20} WHERE ${some('loose', `a = ${a}`, 1)}`],
    [0.3, `UPDATE toasted SET n = n + 1 WHERE abs(id) = ${doc}`],
    [0.2, flip('toasted', doc)],
    [0.1, `UPDATE toasted SET doc = repeat(md5('${n}'), 300) WHERE abs(id) = ${doc}`],
    [0.2, `UPDATE loose_toasted SET a = ${n % 5} WHERE ${some('loose_toasted', `a = ${(n + 1) % 5}`, 1)}`],
    [0.3, `UPDATE part SET k = 1 - k, n = n + 1 WHERE id = ${1 + (n % 200)}`],
    [
      0.3,
      `INSERT INTO emptied VALUES (${n * 10 + (writer % 10)}, 'v') ON CONFLICT DO NOTHING; INSERT INTO emptied_too VALUES (${a}), (${a})`,
    ],
    [0.03, 'TRUNCATE emptied, emptied_too; INSERT INTO emptied_too VALUES (-1)'],
    [0.3, `SAVEPOINT s; INSERT INTO written VALUES (${writer}, ${n}); DELETE FROM loose; ROLLBACK TO s`],
    [
      0.2,
      `SAVEPOINT s; UPDATE keyed SET n = n + 1 WHERE id = ${id}; SAVEPOINT t; DELETE FROM keyed WHERE id = ${id}; ROLLBACK TO t; RELEASE s`,
    ],
    [shares.bulk, bulk(n)],
  ];
  const chosen = work.filter(([share]) => Math.random() < share).map(([, sql]) => sql);
  const end = Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT';
  return `BEGIN; INSERT INTO written VALUES (${writer}, ${n}); ${chosen.map((sql) => `${sql}; `).join('')}${end}`;
}
