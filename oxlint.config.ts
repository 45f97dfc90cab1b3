// The layer table of docs/architecture.md, as lint: who may import whom. Changing it needs a decision record.
import { defineConfig, type OxlintOverride } from 'oxlint';

/** Wings of src/: a wing may import itself and the wings listed. */
const wings: Record<string, string[]> = {
  contract: [],
  base: ['contract'],
  engine: ['base', 'contract'],
  service: ['engine', 'base', 'contract'],
  'surface/cli': ['engine', 'service', 'base', 'contract', 'demo'],
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

/** Folders of this depth are reached as ../x, ../../x …; the driver is reached only from engine/pg. */
const reach = (name: string) => [
  `../${name}/**`,
  `../../${name}/**`,
  `../../../${name}/**`,
  `**/src/${name}/**`,
];
const driver = { group: ['pg', 'pg/**'], message: 'only src/engine/pg/ speaks to the driver' };

function layer(files: string, forbidden: string[], message: string, withDriver: boolean): OxlintOverride {
  const patterns = forbidden.length > 0 ? [{ group: forbidden, message }] : [];
  return {
    files: [files],
    rules: {
      'no-restricted-imports': ['error', { patterns: withDriver ? patterns : [...patterns, driver] }],
    },
  };
}

const allWings = Object.keys(wings).map((name) => name.split('/')[0] ?? name);
const wingLayers = Object.entries(wings).map(([from, to]) => {
  const forbidden = allWings
    .filter((name) => name !== from.split('/')[0] && !to.includes(name))
    .flatMap(reach);
  return layer(`src/${from}/**`, forbidden, `${from}/ may import only ${to.join(', ') || 'nothing'}`, false);
});
const roomLayers = Object.entries(rooms).map(([from, to]) => {
  const otherRooms = Object.keys(rooms).filter((name) => name !== from && !to.includes(name));
  const otherWings = ['service', 'surface', 'demo'];
  const forbidden = [...otherRooms, ...otherWings].flatMap(reach);
  return layer(
    `src/engine/${from}/**`,
    forbidden,
    `engine/${from} may import only ${to.join(', ') || 'nothing'} of engine`,
    from === 'pg',
  );
});

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
    ...roomLayers,
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
