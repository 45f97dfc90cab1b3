/** Rewrites the texts of a model, one by one: what mentions no other name stays untouched, and what cannot be rewritten is noted with its reason. */
import type { ObjectKey } from '../../pg/catalog/user-object.ts';
import type { PartToLookAt, SchemaModel } from '../model.ts';
import { NeedsLook, type NameMap } from '../rewrite/names.ts';
import { nameTexts, type NameTexts } from '../rewrite/name-texts.ts';
import type { Parser } from '../rewrite/parser.ts';
import { rewriterOf, type Rewriter } from '../rewrite/rewriter.ts';
import type { ChangedNames } from './changed-names.ts';

export interface Texts {
  readonly map: NameMap;
  readonly names: NameTexts;
  readonly rewriter: Rewriter;
  readonly changed: ChangedNames;
  /** The text of an object, or of a part of one, rewritten; as it was where that cannot be done. */
  rewrite(key: ObjectKey, text: string, how: (rewriter: Rewriter, text: string) => string): string;
  /** What could not be rewritten, by the object or part: why. */
  readonly refused: Map<ObjectKey, string>;
  /** What is created otherwise than it was meant, and should be looked at by a person. */
  readonly looks: Map<ObjectKey, PartToLookAt>;
}

export function openTexts(
  parser: Parser,
  map: NameMap,
  {
    changed,
    of: { unwritable, toLookAt },
  }: { readonly changed: ChangedNames; readonly of: Pick<SchemaModel, 'unwritable' | 'toLookAt'> },
): Texts {
  const rewriter = rewriterOf(parser, map);
  const refused = new Map(unwritable);
  return {
    map,
    names: nameTexts(parser, map),
    rewriter,
    changed,
    refused,
    looks: new Map(toLookAt),
    rewrite: (key, text, how) => {
      if (!changed.areIn(text)) return text;
      try {
        return how(rewriter, text);
      } catch (thrown) {
        const reason = thrown instanceof NeedsLook ? thrown.message : 'its definition cannot be read';
        refused.set(key, `${reason}; create it by hand under the names of the target`);
        return text;
      }
    },
  };
}
