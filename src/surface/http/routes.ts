/** Where an operation is found by HTTP. */
import type { Operation } from '../../contract/api/operation.ts';

/** As the framework writes a path with fields: `/api/v1/groups/:group`. */
export function routeOf({ path }: Operation): string {
  return `/api/v1${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
}
