/** pgoutput on one stream: tables are described on the stream itself, before their first change. */
import type { StreamMessage } from '../../change/change.ts';
import { ident, literal } from '../ident.ts';
import type { MessageDecoder } from '../slot/decoder.ts';
import { decode, RelationCache } from './decode.ts';

export function pgoutputDecoder(publication: string): MessageDecoder<StreamMessage> {
  const relations = new RelationCache();
  return {
    settings: `proto_version '1', publication_names ${literal(ident(publication))}`,
    decode: (bytes, begin, end) => decode(bytes, relations, begin, end),
  };
}
