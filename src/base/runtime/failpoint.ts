/**
 * Named places at which a test makes the process die (`kill -9` of itself), stand still (SIGSTOP of itself) or throw, to prove that
 * running again ends right. Armed by the composition root from OPENDTS_FAILPOINT=`name`, `name:N` (the Nth pass) or `name:N:freeze`;
 * without it a pass costs one comparison.
 */
export const FAILPOINTS = [
  'copy.before-unit-commit',
  'copy.after-unit-commit',
  'apply.between-apply-and-progress',
  'apply.between-lanes',
  'apply.between-commit-and-ack',
  'schema.during-index-build',
  'schema.between-steps',
  'slot.after-create',
  'ddl.before-commit',
  'ddl.after-commit',
  'join.before-commit',
  'join.after-commit',
] as const;
export type FailpointName = (typeof FAILPOINTS)[number];

export interface Failpoints {
  /** Marks that the process passed here; an armed one does not return. */
  pass(name: FailpointName): void;
}

export const noFailpoints: Failpoints = { pass() {} };

/** Parses `name[:N[:freeze]]`; an unknown name, number or end throws, so that a typo in a test cannot pass as success. */
export function armFailpoint(spec: string, hit?: () => void): Failpoints {
  const [name = '', nth = '1', how = 'kill'] = spec.split(':');
  if (!FAILPOINTS.some((known) => known === name))
    throw new Error(`unknown failpoint "${name}"; known: ${FAILPOINTS.join(', ')}`);
  if (!/^[1-9]\d*$/.test(nth)) throw new Error(`failpoint ${name}: "${nth}" is not the number of a pass`);
  if (how !== 'kill' && how !== 'freeze')
    throw new Error(`failpoint ${name}: "${how}" is neither kill nor freeze`);
  const end = hit ?? (() => process.kill(process.pid, how === 'kill' ? 'SIGKILL' : 'SIGSTOP'));
  let left = Number(nth);
  return {
    pass(passed) {
      if (passed === name && --left === 0) end();
    },
  };
}
