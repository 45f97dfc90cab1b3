import { describe, expect, it } from 'vitest';
import { isWider } from './widening.ts';

describe('a type that takes all values of another one', () => {
  it.each([
    ['smallint', 'integer'],
    ['smallint', 'bigint'],
    ['integer', 'bigint'],
    ['real', 'double precision'],
    ['character varying(5)', 'character varying(50)'],
    ['character varying(5)', 'character varying'],
    ['character varying(5)', 'text'],
    ['character varying', 'text'],
    ['text', 'character varying'],
    ['character(5)', 'character(6)'],
    ['numeric(5,2)', 'numeric(7,2)'],
    ['numeric(5,2)', 'numeric'],
    ['timestamp(3) without time zone', 'timestamp without time zone'],
    ['timestamp(3) with time zone', 'timestamp(6) with time zone'],
    ['time(0) without time zone', 'time(3) without time zone'],
    ['integer[]', 'bigint[]'],
    ['bit varying(3)', 'bit varying(4)'],
  ])('%s → %s', (from, to) => expect(isWider(from, to)).toBe(true));

  it.each([
    ['bigint', 'integer'],
    ['integer', 'text'],
    ['integer', 'numeric(5,0)'],
    ['double precision', 'real'],
    ['text', 'character varying(5)'],
    ['character varying(50)', 'character varying(5)'],
    ['character(5)', 'text'],
    ['character(5)', 'character varying(5)'],
    ['numeric(5,2)', 'numeric(7,3)'],
    ['numeric', 'numeric(7,2)'],
    ['timestamp without time zone', 'timestamp(3) without time zone'],
    ['timestamp without time zone', 'timestamp with time zone'],
    ['timestamp without time zone', 'date'],
    ['bit(3)', 'bit(4)'],
    ['integer', 'bigint[]'],
    ['shop.mood', 'text'],
    ['"char"', 'text'],
    ['json', 'jsonb'],
    ['interval', 'interval day to second'],
  ])('%s → %s is none', (from, to) => expect(isWider(from, to)).toBe(false));
});
