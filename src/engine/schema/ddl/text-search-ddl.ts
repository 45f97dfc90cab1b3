/** Drafts of text search dictionaries and configurations. */
import type { DictionaryInfo, TextConfigurationInfo } from '../../pg/catalog/text/text-search.ts';
import { ident, qname } from '../../pg/ident.ts';
import { commentsOn, draft, type Draft, type DraftContext } from '../draft.ts';
import { objectId } from '../object-id.ts';

export function textSearchDrafts(context: DraftContext): Draft[] {
  const { dictionaries, configurations } = context.model.textSearch;
  return [
    ...dictionaries.flatMap((dictionary) => dictionaryDraft(dictionary, context)),
    ...configurations.map((configuration) => configurationDraft(configuration, context)),
  ];
}

/** A thesaurus names another dictionary in its options, of which the catalog of dependencies knows nothing. */
export function needsOthers(template: string): boolean {
  return template === 'pg_catalog.thesaurus';
}

export function dictionarySql(dictionary: DictionaryInfo): string {
  const options = dictionary.options === null ? '' : `, ${dictionary.options}`;
  return `CREATE TEXT SEARCH DICTIONARY ${qname(dictionary)} (TEMPLATE = ${dictionary.template}${options})`;
}

function dictionaryDraft(dictionary: DictionaryInfo, context: DraftContext): Draft[] {
  const { key, template } = dictionary;
  const id = objectId('text search dictionary', dictionary.schema, dictionary.name);
  const reason = context.target.refused.get(key);
  if (reason !== undefined) {
    context.leaveOut(id, reason, key);
    return [];
  }
  return [
    draft({
      key,
      id,
      create: [dictionarySql(dictionary)],
      after: commentsOn(context, key, `TEXT SEARCH DICTIONARY ${qname(dictionary)}`),
      needs: needsOthers(template) ? named(dictionary, context) : [],
    }),
  ];
}

/** The dictionary in the options of a thesaurus. */
function named({ options }: DictionaryInfo, { model }: DraftContext): string[] {
  const [, text = ''] = /\bdictionary = '((?:[^']|'')*)'/i.exec(options ?? '') ?? [];
  const name = text.replaceAll("''", "'").replaceAll('"', '');
  return model.textSearch.dictionaries
    .filter((one) => `${one.schema}.${one.name}`.replaceAll('"', '') === name)
    .map(({ key }) => key);
}

/** Kinds of token with the same dictionaries in one command. */
function configurationDraft(configuration: TextConfigurationInfo, context: DraftContext): Draft {
  const { key, parser, mappings } = configuration;
  const name = qname(configuration);
  const alike = Map.groupBy(mappings, ({ dictionaries }) => dictionaries.join(', '));
  return draft({
    key,
    id: objectId('text search configuration', configuration.schema, configuration.name),
    create: [
      `CREATE TEXT SEARCH CONFIGURATION ${name} (PARSER = ${parser})`,
      ...[...alike].map(
        ([dictionaries, tokens]) =>
          `ALTER TEXT SEARCH CONFIGURATION ${name} ADD MAPPING FOR ${tokens.map(({ token }) => ident(token)).join(', ')} WITH ${dictionaries}`,
      ),
    ],
    after: commentsOn(context, key, `TEXT SEARCH CONFIGURATION ${name}`),
  });
}
