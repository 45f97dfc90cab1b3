/** Numbers as options take them. */
import { InvalidArgumentError } from 'commander';

export function parseRate(text: string): number {
  const rate = Number(text);
  if (!(rate > 0) || !Number.isFinite(rate)) throw new InvalidArgumentError('Write a number above 0.');
  return rate;
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('Write a whole number above 0.');
  return Number(text);
}
