/** Where an operation is found by HTTP. */
import { OPERATIONS, type OperationName } from '../../contract/api/operations.ts';
import type { Operation } from '../../contract/api/operation.ts';

/** As the framework writes a path with fields: `/api/v1/groups/:group`. */
export function routeOf({ path }: Operation): string {
  return `/api/v1${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
}

export interface Routed {
  readonly name: OperationName;
  readonly isStream: boolean;
}

const BY_ROUTE: ReadonlyMap<string, Routed> = new Map(
  Object.entries<Operation>(OPERATIONS).map(([name, operation]) => [
    `${operation.method} ${routeOf(operation)}`,
    { name: name as OperationName, isStream: operation.stream === true },
  ]),
);

/** The operation of a route; undefined: it is none (health, documents, a path that leads nowhere). */
export function operationAt(method: string, route: string | undefined): Routed | undefined {
  return BY_ROUTE.get(`${method} ${route}`);
}
