/** Reads a task file: one document, with the options of a migration. */
import type { z } from 'zod';
import { taskFile } from '../../../contract/resource-file.ts';
import { invalid, parsed, readDocuments, resolveReferences, type Environment } from './file-place.ts';

export type TaskFileSpec = z.infer<typeof taskFile>['spec'];

/** The `spec` of a task file, references resolved. Throws TASK_FILE_UNREADABLE or TASK_FILE_INVALID. */
export function readTaskFile(file: string, env: Environment): TaskFileSpec {
  const [place, another] = readDocuments(file);
  if (place === undefined || another !== undefined)
    throw invalid(file, { line: 1, col: 1 }, 'one document is expected');
  const { spec } = parsed(place, taskFile, Object.keys(taskFile.shape.spec.shape));
  const resolved = (side: 'source' | 'target') =>
    spec[side] === undefined ? {} : { [side]: resolveReferences(spec[side], ['spec', side], place, env) };
  return { ...spec, ...resolved('source'), ...resolved('target') };
}
