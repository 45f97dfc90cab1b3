/** The options of `opendts serve`, from flags, the environment and a YAML file, in this order; the file never with its text in an error. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { AppError } from '../../../base/errors/app-error.ts';
import {
  flagOf,
  SECRET_OPTIONS,
  serveOptions,
  variableOf,
  type ServeOption,
  type ServeOptions,
} from '../../../contract/serve-options.ts';
import type { Environment } from '../../../config.ts';

const OPTIONS = Object.keys(serveOptions.shape) as ServeOption[];
const LISTS: ReadonlySet<ServeOption> = new Set(['allowNetwork', 'trustedProxy']);
const NUMBERS: ReadonlySet<ServeOption> = new Set(['port', 'drainSeconds', 'auditRetentionDays', 'capacity']);
const SWITCHES: ReadonlySet<ServeOption> = new Set(['secure', 'worker']);
/** On unless told: the flag says no. */
const NEGATED: ReadonlySet<ServeOption> = new Set(['worker']);

/** All of them, or those that a command needs. */
export function withServeOptions(command: Command, options: readonly ServeOption[] = OPTIONS): Command {
  command.option('--config <file>', 'YAML file with these options, in camelCase (OPENDTS_CONFIG)');
  for (const option of options) {
    if (SECRET_OPTIONS.has(option)) continue;
    const value = SWITCHES.has(option) ? '' : ` <${valueWord(option)}>`;
    const standard = serveOptions.shape[option].safeParse(undefined).data;
    const shown =
      standard === undefined || Array.isArray(standard) || typeof standard === 'boolean'
        ? ''
        : `, default: ${String(standard)}`;
    command.option(
      NEGATED.has(option) ? `--no-${flagOf(option).slice(2)}` : `${flagOf(option)}${value}`,
      `${NEGATED.has(option) ? 'do not ' : ''}${serveOptions.shape[option].description} (${variableOf(option)}${shown})`,
    );
  }
  return command;
}

function valueWord(option: ServeOption): string {
  if (LISTS.has(option)) return 'list';
  return NUMBERS.has(option) ? 'n' : 'value';
}

/** Throws USAGE for a flag, CONFIG_INVALID for a variable or the file. */
export function readServeOptions(flags: Readonly<Record<string, unknown>>, env: Environment): ServeOptions {
  const file = typeof flags.config === 'string' ? flags.config : env.OPENDTS_CONFIG;
  const fromFile = file ? readFile(file) : {};
  const fromEnv = given((option) => env[variableOf(option)] || undefined);
  const fromFlags = given((option) =>
    NEGATED.has(option) && flags[option] === true ? undefined : flags[option],
  );
  checked(fromEnv, (option, problem) => invalidConfig(`variable ${variableOf(option)}`, problem));
  checked(fromFlags, (option, problem) => {
    const remedy = '"opendts serve --help" lists the options.';
    return new AppError('USAGE', { problem: `${flagOf(option)}: ${problem}.`, remedy });
  });
  return serveOptions.parse({ ...fromFile, ...fromEnv, ...fromFlags });
}

function given(read: (option: ServeOption) => unknown): Partial<Record<ServeOption, unknown>> {
  const found = OPTIONS.map((option) => [option, typed(option, read(option))] as const);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

/** Text as what the option wants; what cannot be read stays text, and is refused. */
function typed(option: ServeOption, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (LISTS.has(option)) return value.split(',').map((one) => one.trim());
  if (NUMBERS.has(option)) return /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (SWITCHES.has(option)) return { true: true, '1': true, false: false, '0': false }[value] ?? value;
  return value;
}

function checked(
  values: Partial<Record<ServeOption, unknown>>,
  error: (option: ServeOption, problem: string) => AppError,
): void {
  for (const option of OPTIONS) {
    if (values[option] === undefined) continue;
    const parsed = serveOptions.shape[option].safeParse(values[option]);
    if (!parsed.success) throw error(option, parsed.error.issues[0]?.message ?? 'it cannot be read');
  }
}

function readFile(file: string): Partial<ServeOptions> {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(file, 'utf8'), { prettyErrors: false });
  } catch (thrown) {
    const isMissing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    throw invalidConfig(`file ${file}`, isMissing ? 'there is no such file' : 'it is not readable YAML');
  }
  const parsed = serveOptions.partial().safeParse(document ?? {});
  if (parsed.success) {
    const named = new Set(Object.keys((document ?? {}) as object));
    // Only what stands there: a default must not hide what the environment says.
    return Object.fromEntries(Object.entries(parsed.data).filter(([option]) => named.has(option)));
  }
  const [issue] = parsed.error.issues;
  throw invalidConfig(
    `file ${file}`,
    [issue?.path.map(String).join('.'), issue?.message].filter(Boolean).join(': '),
  );
}

/** The connection string of the store; null for the embedded PostgreSQL. Throws CONFIG_INVALID. */
export function databaseUrlOf(options: ServeOptions): string | null {
  requireOne(options, 'databaseUrl', 'databaseUrlFile');
  if (options.databaseUrlFile === undefined) return options.databaseUrl ?? null;
  try {
    return readFileSync(options.databaseUrlFile, 'utf8').trim();
  } catch {
    throw invalidConfig('databaseUrlFile', 'it cannot be read');
  }
}

/** Where the keys for secrets are; null when nothing is said. Throws CONFIG_INVALID. */
export function keyOf(options: ServeOptions): { readonly text: string } | { readonly file: string } | null {
  requireOne(options, 'key', 'keyFile');
  if (options.key !== undefined) return { text: options.key };
  return options.keyFile === undefined ? null : { file: options.keyFile };
}

/** Whoever shows this may read the metrics. It is read each time, so that it may change. Throws CONFIG_INVALID. */
export function metricsTokenOf({ metricsTokenFile: file }: ServeOptions): (() => string) | null {
  if (file === undefined) return null;
  const read = () => {
    const token = textOf(file);
    if (!/^\S{20,}$/.test(token))
      throw invalidConfig('metricsTokenFile', 'it holds no token of at least 20 characters');
    return token;
  };
  read();
  return read;
}

/** Empty when it cannot be read. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

function requireOne(options: ServeOptions, value: ServeOption, file: ServeOption): void {
  if (options[value] !== undefined && options[file] !== undefined)
    throw invalidConfig(value, `${file} is given as well`);
}

export function invalidConfig(where: string, problem: string): AppError {
  return new AppError('CONFIG_INVALID', { where, problem });
}
