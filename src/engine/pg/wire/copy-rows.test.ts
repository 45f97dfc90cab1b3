/** Rows of COPY's text format, there and back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packedRow } from '../../../../test/packed.ts';
import { byteText } from '../../change/change.ts';
import { ByteSink } from './byte-sink.ts';
import { decodeRow, encodeRow, putPackedRow, putRow, transformMessage } from './copy-rows.ts';

const cell = fc.oneof(fc.constant(null), fc.string({ unit: 'binary' }).map(byteText));

const row = fc.array(cell, { minLength: 1 });

describe('a row of COPY text', () => {
  it('comes back as it went, whatever its cells hold', () => {
    fc.assert(
      fc.property(row, (cells) => {
        expect(decodeRow(encodeRow(cells))).toEqual(cells);
      }),
    );
  });

  it('is one line: no cell ends it early or begins another column', () => {
    fc.assert(
      fc.property(row, (cells) => {
        const text = encodeRow(cells).toString('latin1');
        expect(text.indexOf('\n')).toBe(text.length - 1);
        expect(text.split('\t')).toHaveLength(cells.length);
      }),
    );
  });

  it('tells NULL, the empty string and the text \\N apart', () => {
    const cells = [null, byteText(''), byteText('\\N'), byteText('N')];
    expect(encodeRow(cells).toString()).toBe('\\N\t\t\\\\N\tN\n');
    expect(decodeRow(Buffer.from('\\N\t\t\\\\N\tN\n'))).toEqual(cells);
  });

  it('is the same line from a row that nobody has taken apart, of the columns that are written', () => {
    const column = fc.record({ value: cell, isWritten: fc.boolean() });
    fc.assert(
      fc.property(fc.array(column), (columns) => {
        const [one, other] = [new ByteSink(10), new ByteSink(10)];
        putPackedRow(
          packedRow(columns.map(({ value }) => value)),
          columns.map(({ isWritten }) => isWritten),
          one,
        );
        putRow(
          columns.flatMap(({ value, isWritten }) => (isWritten ? [value] : [])),
          other,
        );
        expect(one.bytes().toString('latin1')).toBe(other.bytes().toString('latin1'));
      }),
    );
  });

  it('is left out where the transform says so', () => {
    expect(transformMessage(Buffer.from('1\ta\n'), () => null)).toBeNull();
    expect(transformMessage(Buffer.from('1\ta\n'), ([id = null]) => [id])?.toString('latin1')).toBe(
      'd\0\0\0\x061\n',
    );
  });
});
