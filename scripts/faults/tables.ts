/** Tables of every kind that a copy cuts in its own way, and changes to them. For an empty database. */

/**
 * `ordered` is cut by key where changes are followed; `scattered` and the keyless `loose`, with many equal rows, by place; `toasted` by
 * key with values outside the row; `part` has partitions of which one is cut; the others are small.
 */
export const TABLES = `
  CREATE TABLE ordered (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, v text);
  INSERT INTO ordered SELECT i, 0, repeat(md5(i::text), 5) FROM generate_series(1, 12000) i;
  CREATE TABLE scattered (id uuid PRIMARY KEY, v text);
  INSERT INTO scattered SELECT md5(i::text)::uuid, repeat('s', 150) FROM generate_series(1, 8000) i;
  CREATE TABLE loose (a int, b text);
  INSERT INTO loose SELECT i % 50, repeat('x', 200) FROM generate_series(1, 8000) i;
  CREATE TABLE toasted (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, doc text);
  ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL;
  INSERT INTO toasted SELECT i, 0, repeat(md5(i::text), 150) FROM generate_series(1, 400) i;
  CREATE TABLE part (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
  INSERT INTO part SELECT i, CASE WHEN i % 10 = 0 THEN 1 ELSE 0 END, repeat('p', 200) FROM generate_series(1, 4000) i;
  CREATE TABLE small_a (id int PRIMARY KEY, v text); INSERT INTO small_a SELECT i, 'a' FROM generate_series(1, 100) i;
  CREATE TABLE small_b (a int, b text); INSERT INTO small_b SELECT i % 3, 'b' FROM generate_series(1, 100) i;
  CREATE TABLE nothing (id int PRIMARY KEY);
  ANALYZE`;

/** One transaction of the writer: moves between ranges and partitions, equal rows, values outside the row, savepoints, rollbacks. */
export function changeTables(n: number): string {
  const id = 1 + Math.floor(Math.random() * 12_000);
  const doc = 1 + Math.floor(Math.random() * 400);
  const work = [
    `UPDATE ordered SET n = n + 1 WHERE id BETWEEN ${id} AND ${id + 30}`,
    `DELETE FROM ordered WHERE id = ${id}`,
    `UPDATE ordered SET id = id + 100000 WHERE id = ${id + 1}`,
    `INSERT INTO ordered VALUES (${200_000 + n}, 1, 'new')`,
    `SAVEPOINT s; UPDATE toasted SET n = n + 1 WHERE id = ${doc}; RELEASE s`,
    `UPDATE toasted SET id = id + 1000 WHERE id = ${doc} AND ${n} % 20 = 0`,
    `UPDATE toasted SET id = id - 1000 WHERE id = ${doc} + 1000`,
    `INSERT INTO scattered VALUES (md5('n${n}')::uuid, 'n'); DELETE FROM scattered WHERE id = md5('${id}')::uuid`,
    `DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose LIMIT 1); INSERT INTO loose VALUES (${n % 50}, 'y'), (${n % 50}, 'y')`,
    `UPDATE loose SET a = a + 1 WHERE ctid = (SELECT ctid FROM loose WHERE a = ${n % 50} LIMIT 1)`,
    `UPDATE part SET k = 1 - k WHERE id = ${1 + (n % 4000)}`,
    `SAVEPOINT s; INSERT INTO small_b VALUES (${n}, 'lost'); ROLLBACK TO s`,
    `INSERT INTO small_b VALUES (${n}, 'kept')`,
  ];
  const chosen = work.filter(() => Math.random() < 0.35);
  return `BEGIN; ${chosen.join('; ')}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`;
}
