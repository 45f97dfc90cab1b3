/**
 * What is given to the target: one piece of work at a time, while the stream collects the next. What fails is thrown to whoever gives or
 * waits next, and nothing is given behind it.
 */
export class HandOver {
  private work: Promise<void> | null = null;

  /** Something has been given that is not done, or has failed. */
  get isBusy(): boolean {
    return this.work !== null;
  }

  /** Resolves when what was given is done; throws what it threw. */
  async settled(): Promise<void> {
    await this.work;
  }

  /** Waits for what was given before, then begins this. */
  async give(work: () => Promise<void>): Promise<void> {
    await this.work;
    this.work = work().then(() => {
      this.work = null;
    });
    // It is told to whoever comes next.
    this.work.catch(() => {});
  }

  /** Nothing more will be given: what the last piece of work threw, or null. */
  async end(): Promise<unknown> {
    try {
      await this.work;
      return null;
    } catch (thrown) {
      return thrown;
    }
  }
}
