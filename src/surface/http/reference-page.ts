/** The operations for people to read, without a network or a script: made from the OpenAPI document. */

interface Described {
  readonly summary: string;
  readonly operationId: string;
  readonly 'x-opendts-access': string;
}

/** HTML; it needs no style, so that nothing has to be allowed for it. */
export function referencePage(document: {
  readonly paths: Readonly<Record<string, object>>;
  readonly info: { readonly version: string };
}): string {
  const sections = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Described>).map(([method, operation]) =>
      section(`${method.toUpperCase()} /api/v1${path}`, operation),
    ),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>opendts API</title></head><body>
<h1>opendts API ${escaped(document.info.version)}</h1>
<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>
${sections.join('\n')}
</body></html>
`;
}

function section(line: string, operation: Described): string {
  const { summary, operationId, 'x-opendts-access': access, ...rest } = operation;
  return `<details id="${escaped(operationId)}"><summary><code>${escaped(line)}</code> ${escaped(summary)}</summary>
<p>For: ${escaped(access)}</p><pre>${escaped(JSON.stringify(rest, null, 2))}</pre></details>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
