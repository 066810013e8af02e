/**
 * Creates JSON schemas in the layout of kubeconform: `node make.js OUT KUBERNETES CRD.yaml...`. KUBERNETES is a schema
 * directory of kubernetes-validate, whose references are URLs. Schemas of custom resources are created from their definitions,
 * as strict as an API server: unknown fields are errors.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** Fields of every resource, which definitions do not repeat. */
const EVERY_RESOURCE = { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'object' } };

/** Returns the JSON schema of a definition. Closes objects unless any field is allowed, and replaces `int-or-string`. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== 'object') return schema;
  const own = Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]) => {
      if (key.startsWith('x-kubernetes-')) return [];
      if (key === 'properties') {
        return [[key, Object.fromEntries(Object.entries(value).map(([name, field]) => [name, closed(field)]))]];
      }
      return [[key, closed(value)]];
    }),
  );
  if (schema['x-kubernetes-int-or-string'] === true) return { ...own, type: ['integer', 'string'] };
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true || 'additionalProperties' in schema;
  return 'properties' in schema && !open ? { ...own, additionalProperties: false } : own;
}

const [out, kubernetes, ...definitions] = process.argv.slice(2);
if (kubernetes === undefined) {
  console.error('Usage: node make.js OUT KUBERNETES CRD.yaml...');
  process.exit(2);
}

for (const name of readdirSync(kubernetes)) {
  const { $id: _, ...schema } = JSON.parse(readFileSync(join(kubernetes, name), 'utf8'));
  writeFileSync(join(out, name), JSON.stringify(schema).replaceAll('"/api/_definitions.json#', '"_definitions.json#'));
}

for (const path of definitions) {
  for (const document of parseAllDocuments(readFileSync(path, 'utf8'))) {
    const { kind, spec } = document.toJS();
    if (kind !== 'CustomResourceDefinition') continue;
    for (const { name, schema } of spec.versions) {
      const made = closed(schema.openAPIV3Schema);
      const properties = { ...made.properties, ...EVERY_RESOURCE };
      const file = `${spec.names.kind}-${spec.group.split('.')[0]}-${name}.json`.toLowerCase();
      writeFileSync(join(out, file), JSON.stringify({ ...made, properties }));
    }
  }
}
