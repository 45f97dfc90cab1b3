import { describe, expect, it } from 'vitest';
import { readEvents } from './live-events.ts';

describe('a stream of events', () => {
  it('is read whatever pieces it comes in; what is not known is a sign of life', async () => {
    const text = [
      'retry: 2000',
      'event: reset\ndata: {"kind":"reset"}',
      ': still here',
      'id: e-7\r\nevent: gone\r\ndata: {"kind":"gone","id":"0190b3a0-0000-4000-8000-000000000000"}',
      'id: e-8\ndata: {"kind":"new kind"}',
      'data: {"kind":"rea',
    ].join('\n\n');
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 7, bytes.length]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.slice(at * size, (at + 1) * size),
      );
      const seen = [];
      for await (const one of readEvents(ReadableStream.from(pieces))) seen.push(one);
      expect(seen).toEqual([
        { id: null, event: null },
        { id: null, event: { kind: 'reset' } },
        { id: null, event: null },
        { id: 'e-7', event: { kind: 'gone', id: '0190b3a0-0000-4000-8000-000000000000' } },
        { id: 'e-8', event: null },
      ]);
    }
  });
});
