/**
 * Returns a function that names a layer's tensors in BERT's words; others keep their names.
 *
 * @param layers - What is before a layer's number: `transformer.layer`.
 * @param parts - By the part of a name behind the layer's number, BERT's.
 */
export function bertNames(layers: string, parts: Readonly<Record<string, string>>): (name: string) => string {
  const pattern = new RegExp(`^${layers.replaceAll('.', '\\.')}\\.(\\d+)\\.(.+)\\.(weight|bias)$`);
  return (name) => {
    const [, layer, part = '', kind] = pattern.exec(name) ?? [];
    return Object.hasOwn(parts, part) ? `encoder.layer.${layer}.${parts[part]}.${kind}` : name;
  };
}
