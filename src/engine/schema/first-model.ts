/** The model as the checks have read it, for the plan that follows at once: reading that of a large source takes seconds. */
import type { Session } from '../pg/session.ts';
import type { SchemaModel } from './model.ts';
import { readModel } from './read-model.ts';

export class FirstModel {
  private reading: Promise<SchemaModel> | null = null;

  read(source: Session): Promise<SchemaModel> {
    this.reading ??= readModel(source);
    return this.reading;
  }

  /** Once: who asks again wants it as it is then. */
  take(source: Session): Promise<SchemaModel> {
    const taken = this.reading ?? readModel(source);
    this.reading = null;
    return taken;
  }
}
