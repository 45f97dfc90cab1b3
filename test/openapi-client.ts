/**
 * A client made from the OpenAPI document of a server while it runs: an operation is called by its id, with its fields; what is sent and
 * what comes back must be what the document says.
 */
import { Ajv2020, type AnySchema, type ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: AnySchema;
}

interface Content {
  readonly content: Readonly<Record<string, { readonly schema: AnySchema }>>;
}

interface Described {
  readonly operationId: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}

export interface Document {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

export interface Called {
  readonly status: number;
  readonly headers: Headers;
  /** The document; tests look into it as they like. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

type Field = string | number | boolean | object | null;

export class OpenApiClient {
  private readonly base: string;
  private readonly schemas: Document['components']['schemas'];
  private readonly ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
  private readonly compiled = new Map<AnySchema, ValidateFunction>();
  private readonly operations: ReadonlyMap<
    string,
    Described & { readonly path: string; readonly method: string }
  >;
  /** Sent with every request. */
  headers: Readonly<Record<string, string>> = {};

  constructor(url: string, document: Document) {
    this.base = `${url}${document.servers[0]?.url}`;
    this.schemas = document.components.schemas;
    ajvFormats.default(this.ajv);
    this.operations = new Map(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, described]) => [
          described.operationId,
          { ...described, path, method },
        ]),
      ),
    );
  }

  /** Every schema of the document, read by a validator of JSON Schema 2020-12; throws for one that it cannot read. */
  compileAll(): number {
    const all = [...this.operations.values()].flatMap(({ parameters, requestBody, responses }) => [
      ...parameters.map(({ schema }) => schema),
      ...[...(requestBody ? [requestBody] : []), ...Object.values(responses)].flatMap(({ content }) =>
        Object.values(content).map(({ schema }) => schema),
      ),
    ]);
    for (const schema of all) this.validator(schema);
    return all.length;
  }

  async call(operationId: string, fields: Readonly<Record<string, Field>> = {}): Promise<Called> {
    const operation = this.operations.get(operationId);
    if (!operation) throw new Error(`no operation ${operationId}`);
    const left = new Map(Object.entries(fields));
    let { path } = operation;
    const query = new URLSearchParams();
    const headers = new Headers(this.headers);
    for (const { name, in: place, required, schema } of operation.parameters) {
      const value = left.get(name);
      left.delete(name);
      if (value === undefined && required) throw new Error(`${operationId} needs ${name}`);
      if (value === undefined) continue;
      this.check(schema, value, `${operationId}: ${name}`);
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
      if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(text));
      else if (place === 'query') query.set(name, text);
      else headers.set(name, text);
    }
    const body = this.bodyOf(operation, left);
    if (body !== null) headers.set('content-type', 'application/json');
    const search = query.size > 0 ? `?${query.toString()}` : '';
    const response = await fetch(`${this.base}${path}${search}`, {
      method: operation.method.toUpperCase(),
      headers,
      body,
    });
    const answer = (await response.json()) as unknown;
    const described = operation.responses[String(response.status)] ?? operation.responses.default;
    const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
    const content = described?.content[type];
    if (!content)
      throw new Error(`${operationId} does not say that it answers ${response.status} with ${type}`);
    this.check(content.schema, answer, `${operationId} answered ${response.status}`);
    return { status: response.status, headers: response.headers, body: answer };
  }

  private bodyOf({ operationId, requestBody }: Described, fields: ReadonlyMap<string, Field>): string | null {
    const [schema] = Object.values(requestBody?.content ?? {}).map((content) => content.schema);
    if (schema === undefined && fields.size > 0)
      throw new Error(`${operationId} takes no ${[...fields.keys()].join(', ')}`);
    if (schema === undefined) return null;
    const body = Object.fromEntries(fields);
    this.check(schema, body, `${operationId}: body`);
    return JSON.stringify(body);
  }

  private check(schema: AnySchema, value: unknown, what: string): void {
    const validate = this.validator(schema);
    if (!validate(value))
      throw new Error(`${what} is not what the document says: ${this.ajv.errorsText(validate.errors)}`);
  }

  private validator(schema: AnySchema): ValidateFunction {
    const known = this.compiled.get(schema);
    if (known) return known;
    const made = this.ajv.compile(this.resolved(schema));
    this.compiled.set(schema, made);
    return made;
  }

  /** The document refers to schemas of its components alone. */
  private resolved(schema: AnySchema): AnySchema {
    if (typeof schema === 'boolean' || typeof schema.$ref !== 'string') return schema;
    const found = this.schemas[schema.$ref.replace('#/components/schemas/', '')];
    if (!found) throw new Error(`${schema.$ref} leads nowhere`);
    return found;
  }
}
