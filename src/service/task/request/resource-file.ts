/** Reads what `opendts apply` is given: tasks and connections, references resolved. */
import {
  connectionFile,
  taskFile,
  type ConnectionFile,
  type TaskFile,
} from '../../../contract/resource-file.ts';
import {
  content,
  invalid,
  parsed,
  position,
  readDocuments,
  resolveReferences,
  type Environment,
} from './file-place.ts';

export type Resource = ConnectionFile | TaskFile;

/** In the order of the file. Throws TASK_FILE_UNREADABLE or TASK_FILE_INVALID. */
export function readResources(file: string, env: Environment, stdin: string): Resource[] {
  return readDocuments(file, stdin).map((place) => {
    const document = content(place);
    if (document === null || document === undefined)
      throw invalid(file, { line: 1, col: 1 }, 'there is nothing in it');
    const kind = typeof document === 'object' && 'kind' in document ? document.kind : undefined;
    const isConnection = kind === 'Connection';
    if (kind !== undefined && kind !== 'Task' && !isConnection)
      throw invalid(file, position(place, ['kind']), 'kind: write Task or Connection');
    const resolved = (text: string, field: string) => resolveReferences(text, ['spec', field], place, env);
    if (isConnection) {
      const found = parsed(place, connectionFile, Object.keys(connectionFile.shape.spec.shape));
      const { conninfo, password } = found.spec;
      return {
        ...found,
        spec: {
          ...found.spec,
          conninfo: resolved(conninfo, 'conninfo'),
          ...(password === undefined ? {} : { password: resolved(password, 'password') }),
        },
      };
    }
    const found = parsed(place, taskFile, Object.keys(taskFile.shape.spec.shape));
    if (found.metadata?.name === undefined)
      throw invalid(file, { line: 1, col: 1 }, 'metadata.name: a task of a server is found by its name');
    const { source, target } = found.spec;
    return {
      ...found,
      spec: {
        ...found.spec,
        ...(source === undefined ? {} : { source: resolved(source, 'source') }),
        ...(target === undefined ? {} : { target: resolved(target, 'target') }),
      },
    };
  });
}
