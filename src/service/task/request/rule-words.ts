/** Rules as the options write them. What a rule says of operations and of rows is independent, so two lists say it all. */
import { OPERATIONS, type TableRule } from '../../../contract/task-spec.ts';

export interface RuleWords {
  /** `pattern=insert,update`, in the order of the rules. */
  readonly tableOperations: string[];
  /** `pattern=condition`, in the order of the rules. */
  readonly filter: string[];
}

export function ruleWords(rules: readonly TableRule[]): RuleWords {
  return {
    tableOperations: rules.flatMap(({ tables, operations }) =>
      operations === undefined
        ? []
        : [`${tables}=${OPERATIONS.filter((operation) => operations.includes(operation)).join(',')}`],
    ),
    filter: rules.flatMap(({ tables, filter }) => (filter === undefined ? [] : [`${tables}=${filter}`])),
  };
}
