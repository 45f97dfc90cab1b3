/** The model as the checks have read it, for the plan that follows at once: reading that of a large source takes seconds. */
import type { Session } from '../pg/session.ts';
import type { SchemaModel } from './model.ts';
import { readModel } from './read-model.ts';
import { readTargetFacts, type FactWishes } from './read-target-facts.ts';
import type { TargetFacts } from './target-facts.ts';

export class FirstModel {
  private reading: Promise<SchemaModel> | null = null;
  private facts: Promise<TargetFacts> | null = null;

  read(source: Session): Promise<SchemaModel> {
    this.reading ??= readModel(source);
    return this.reading;
  }

  /** What the checks know of the target, for all of them. */
  readFacts(source: Session, target: Session, wishes: FactWishes): Promise<TargetFacts> {
    this.facts ??= this.read(source).then((model) => readTargetFacts(target, model, wishes));
    return this.facts;
  }

  /** Once: who asks again wants it as it is then. */
  take(source: Session): Promise<SchemaModel> {
    const taken = this.reading ?? readModel(source);
    this.reading = null;
    return taken;
  }
}
