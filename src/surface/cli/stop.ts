/** The request to stop, as the reason of the AbortSignal, and the exit code it leads to. */
import { EXIT, type ExitCode } from '../../base/errors/exit.ts';

export type StopName = 'SIGINT' | 'SIGTERM';

/** What to abort with: an Error, because code that is called off throws the reason. */
export function stopReason(name: StopName): Error {
  return new Error(`stopped by ${name}`, { cause: name });
}

/** 130 or 143, as a shell reports a process that such a signal ended. */
export function stopExit(signal: AbortSignal): ExitCode {
  const reason: unknown = signal.reason;
  return reason instanceof Error && reason.cause === 'SIGTERM' ? EXIT.sigterm : EXIT.sigint;
}
