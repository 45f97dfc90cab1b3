/** What the framework has to say, in our log: that it says something, and the facts of the error; never its texts, which quote requests. */
import type { FastifyBaseLogger } from 'fastify';
import type { Log, LogLevel } from '../../base/runtime/log.ts';

/** A logger as the framework wants one. */
export function frameworkLog(log: Log): FastifyBaseLogger {
  const at = (level: LogLevel) => (given: unknown) => {
    const thrown = errorIn(given);
    if (thrown !== null) log.failure(thrown, 'the web framework reports an error', { level });
    else if (level !== 'info' && level !== 'debug') log.warn('the web framework complains');
  };
  const logger: FastifyBaseLogger = {
    level: 'info',
    fatal: at('error'),
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    trace: at('debug'),
    silent: () => {},
    child: ({ reqId }) => (typeof reqId === 'string' ? frameworkLog(log.with({ request: reqId })) : logger),
  };
  return logger;
}

function errorIn(given: unknown): Error | null {
  if (given instanceof Error) return given;
  const inside = typeof given === 'object' && given !== null && 'err' in given ? given.err : null;
  return inside instanceof Error ? inside : null;
}
