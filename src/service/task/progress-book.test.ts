/** What the book of a running migration tells at the end, and of a copy that begins anew. */
import { describe, expect, it } from 'vitest';
import type { TableInfo } from '../../engine/pg/catalog/tables/tables.ts';
import type { DoneChunk } from '../../engine/target/books/done-chunks.ts';
import { ProgressBook } from './progress-book.ts';

function table(name: string): TableInfo {
  return { schema: 's', name, estimatedRows: 100, bytes: 1_000_000n } as TableInfo;
}

function chunk(id: string, change: Partial<DoneChunk> = {}): DoneChunk {
  return { id, snapshot: null, readUntil: null, rows: 100n, skipped: 0n, bytes: 1000n, ...change };
}

function bookOf(...names: string[]): ProgressBook {
  const book = new ProgressBook();
  book.register(names.map(table));
  return book;
}

describe('the book of a migration', () => {
  it('tells at the end which rows were kept, which tables are of a later snapshot, and the formats', () => {
    const book = bookOf('a', 'b', 'c', 'd');
    book.planned('s.a', [chunk('a1', { skipped: 2n }), null]);
    book.planned('s.b', [null]);
    book.planned('s.c', [null]);
    book.planned('s.d', [null]);
    for (const name of ['s.a', 's.b', 's.d']) book.format(name, 'binary');
    book.format('s.c', 'text');
    book.copied({ table: 's.a', id: 'a2' }, chunk('a2', { skipped: 3n }));
    book.copied({ table: 's.b', id: 'b1' }, chunk('b1', { snapshot: '1:2:' }));
    book.copied({ table: 's.c', id: 'c1' }, chunk('c1'));
    // s.d was not come to.
    expect(book.accounts()).toEqual({
      formats: { binary: 2, text: 1 },
      kept: [{ table: 's.a', rows: 5n }],
      copiedLater: ['s.b'],
    });
  });

  it('knows no copy before one is planned, and tells it with what earlier runs have done', () => {
    const book = bookOf('a', 'b');
    expect(book.snapshot().copy).toBeNull();
    book.planned('s.a', [chunk('a1')]);
    book.planned('s.b', [null]);
    book.beginCopy();
    expect(book.snapshot().copy).toMatchObject({ share: 0.5, rows: 100n, chunksDone: 1, chunksTotal: 2 });
    expect(book.snapshot().rowsCopied).toBe(0n);
  });

  it('takes back what is copied anew under another snapshot', () => {
    const book = bookOf('a');
    book.planned('s.a', [null, null]);
    book.beginCopy();
    book.copied({ table: 's.a', id: 'a1' }, chunk('a1'));
    book.copying({ table: 's.a', id: 'a2' });
    book.passing({ table: 's.a', id: 'a2' }, { rows: 50, bytes: 500 });
    expect(book.snapshot().copy?.share).toBe(0.75);
    book.planned('s.a', [null, null]);
    book.beginCopy();
    expect(book.snapshot()).toMatchObject({ copy: { share: 0, rows: 0n, bytes: 0n }, rowsCopied: 0n });
  });
});
