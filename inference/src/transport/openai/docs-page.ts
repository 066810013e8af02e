/** GET /docs: the table of operations as a page without scripts. */
import { createHash } from 'node:crypto';
import { VERSION } from '../../version.js';
import type { Operation } from './operation.js';
import type { Parameter } from './parameters.js';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
h2{margin-top:2.5rem;font-size:1.1rem}code,h2{font-family:ui-monospace,monospace}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd}
@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}a{color:#8cf}th,td{border-color:#444}}`;

/** Nothing but the page's own style. */
export const DOCS_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function docsPage(operations: readonly Operation[]): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Heimdex inference: OpenAI API</title>
<style>${STYLE}</style></head>
<body><main>
<h1>Heimdex inference: OpenAI API</h1>
<p>Version ${VERSION}. The same as OpenAPI: <a href="openapi.json">/openapi.json</a>. Where the server wants tokens, send
<code>Authorization: Bearer TOKEN</code>.</p>
${operations.map(section).join('\n')}
</main></body>
</html>
`;
}

function section({ method, path, summary, body, parameters }: Operation): string {
  const rows = Object.entries(parameters).map(([name, parameter]) => row(name, parameter));
  const table = `<table><thead><tr><th>parameter<th>what it says</tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table>`;
  return `<section><h2>${method} ${escaped(path)}</h2>
<p>${escaped(summary)}${body === undefined ? '' : ` The body is <code>${body}</code>.`}</p>
${rows.length === 0 ? '' : table}</section>`;
}

function row(name: string, { required, schema }: Parameter<unknown>): string {
  const { description = '', enum: words, default: fallback } = schema;
  const notes = [
    required ? 'Required.' : '',
    String(description),
    Array.isArray(words) ? `One of ${words.join(', ')}.` : '',
    fallback === undefined ? '' : `Default ${String(fallback)}.`,
  ];
  return `<tr><td><code>${escaped(name)}</code><td>${escaped(notes.filter((note) => note !== '').join(' '))}</tr>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
