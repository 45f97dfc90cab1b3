// The layer table of docs/architecture.md, as lint: who may import whom. Changing it needs a decision record.
import { defineConfig, type OxlintOverride } from 'oxlint';

/** Wings of src/: a wing may import itself and the wings listed. */
const wings: Record<string, string[]> = {
  contract: [],
  base: ['contract'],
  engine: ['base', 'contract'],
  service: ['engine', 'base', 'contract'],
  'surface/cli': ['engine', 'service', 'base', 'contract', 'demo'],
  'surface/http': ['service', 'base', 'contract'],
  demo: ['engine', 'service', 'base', 'contract'],
};

/** Rooms of src/engine, in the order data flows. */
const rooms: Record<string, string[]> = {
  change: [],
  selection: ['change'],
  pg: ['change'],
  schema: ['change', 'selection', 'pg'],
  source: ['change', 'selection', 'pg'],
  target: ['change', 'selection', 'pg'],
  transform: ['change', 'selection'],
  pipeline: ['change', 'selection', 'source', 'transform', 'target'],
  verify: ['change', 'selection', 'pg', 'schema', 'source'],
  precheck: ['change', 'selection', 'pg', 'schema', 'source'],
};

/** Rooms of src/service: what is kept at the bottom, what is asked for at the top. */
const serviceRooms: Record<string, string[]> = {
  store: [],
  account: ['store'],
  connection: ['store'],
  task: ['store', 'connection'],
  'task-life': ['store'],
  audit: ['store'],
  metrics: ['store', 'task-life'],
  events: ['store', 'account'],
  fleet: ['store', 'connection', 'task', 'task-life'],
  operation: ['store', 'account', 'connection', 'task-life', 'events'],
};

/** Folders of this depth are reached as ../x, ../../x …; the driver is reached only from engine/pg. */
const reach = (name: string) => [
  `../${name}/**`,
  `../../${name}/**`,
  `../../../${name}/**`,
  `**/src/${name}/**`,
];
const driver = { group: ['pg', 'pg/**'], message: 'only src/engine/pg/ speaks to the driver' };
/** The SDK of OpenTelemetry is loaded where traces are wanted, by one file (decision 32). */
const TRACES = 'src/base/tracing/open-telemetry.ts';
const sdk = { group: ['@opentelemetry/**'], message: `only ${TRACES} loads the SDK` };
type Pattern = typeof driver;

function layer(files: string, forbidden: string[], message: string, packages: Pattern[]): OxlintOverride {
  const patterns = forbidden.length > 0 ? [{ group: forbidden, message }] : [];
  return {
    files: [files],
    rules: {
      'no-restricted-imports': ['error', { patterns: [...patterns, ...packages] }],
    },
  };
}

const allWings = Object.keys(wings).map((name) => name.split('/')[0] ?? name);
const wingLayers = Object.entries(wings).flatMap(([from, to]) => {
  const forbidden = allWings
    .filter((name) => name !== from.split('/')[0] && !to.includes(name))
    .flatMap(reach);
  const message = `${from}/ may import only ${to.join(', ') || 'nothing'}`;
  const wing = layer(`src/${from}/**`, forbidden, message, [driver, sdk]);
  return from === 'base' ? [wing, layer(TRACES, forbidden, message, [driver])] : [wing];
});
/** The rooms of one wing; `outside` are the wings that it may not import. */
function roomLayers(wing: string, table: Record<string, string[]>, outside: string[]): OxlintOverride[] {
  return Object.entries(table).map(([from, to]) => {
    const otherRooms = Object.keys(table).filter((name) => name !== from && !to.includes(name));
    return layer(
      `src/${wing}/${from}/**`,
      [...otherRooms, ...outside].flatMap(reach),
      `${wing}/${from} may import only ${to.join(', ') || 'nothing'} of ${wing}`,
      wing === 'engine' && from === 'pg' ? [sdk] : [driver, sdk],
    );
  });
}

export default defineConfig({
  plugins: ['typescript', 'import', 'oxc', 'unicorn', 'node'],
  categories: { correctness: 'error' },
  options: { typeAware: true },
  rules: {
    'import/no-cycle': 'error',
    'oxc/no-barrel-file': 'error',
    'max-lines': ['error', { max: 300 }],
    'max-params': ['error', { max: 4 }],
    'no-console': 'error',
    // The environment is read by the composition roots and handed on.
    'node/no-process-env': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/await-thenable': 'error',
    // Without it `return work(session)` under `await using session` closes the session before the work is done.
    'typescript/return-await': ['error', 'in-try-catch'],
    'typescript/no-non-null-assertion': 'error',
  },
  overrides: [
    ...wingLayers,
    ...roomLayers('engine', rooms, ['service', 'surface', 'demo']),
    ...roomLayers('service', serviceRooms, ['surface', 'demo']),
    {
      files: ['bin/**', 'src/main.ts', 'scripts/**', 'test/**', '**/*.test.ts'],
      rules: { 'node/no-process-env': 'off' },
    },
    {
      files: ['**/*.test.ts', 'test/**'],
      rules: { 'max-lines': ['error', { max: 800 }], 'typescript/no-non-null-assertion': 'off' },
    },
  ],
  ignorePatterns: ['dist', 'node_modules'],
});
