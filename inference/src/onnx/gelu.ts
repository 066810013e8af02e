import type { GraphIndex } from './graph-index.js';

const OPERATORS: ReadonlySet<string> = new Set(['Gelu', 'FastGelu', 'BiasGelu']);

/**
 * Returns whether a value is GELU's output: an operator's, or as exports spell it out, x times 0.5 times 1 + erf(x / sqrt(2)) or
 * 1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)), in any order.
 */
export function isGelu(name: string, index: GraphIndex): boolean {
  const isNumber = (value: string, number: number) => {
    const float = index.float(value);
    return float !== undefined && Math.abs(float / number - 1) < 1e-4;
  };
  /** Whether a node of this type makes a value of two that `test` accepts, in either order. */
  const isPair = (value: string, opType: string, test: (one: string, other: string) => boolean) => {
    const maker = index.maker(value, opType);
    const [first = '', second = ''] = maker?.inputs ?? [];
    return maker !== undefined && (test(first, second) || test(second, first));
  };
  const isCurve = (curve: string, x: string) => {
    const { opType, inputs: [inner = ''] = [] } = index.maker(curve) ?? {};
    if (opType === 'Erf') {
      const { opType: scaling, inputs: [scaled, root = ''] = [] } = index.maker(inner) ?? {};
      if (scaling === 'Div') return scaled === x && isNumber(root, Math.SQRT2);
      return isPair(inner, 'Mul', (one, factor) => one === x && isNumber(factor, Math.SQRT1_2));
    }
    const isCubic = (cubic: string) => isPair(cubic, 'Mul', (factor) => isNumber(factor, 0.044715));
    const isSum = (sum: string) => isPair(sum, 'Add', (one, cubic) => one === x && isCubic(cubic));
    return (
      opType === 'Tanh' && isPair(inner, 'Mul', (factor, sum) => isNumber(factor, Math.sqrt(2 / Math.PI)) && isSum(sum))
    );
  };
  const isProduct = (half: string, x: string, gate: string) =>
    isNumber(half, 0.5) && isPair(gate, 'Add', (one, curve) => isNumber(one, 1) && isCurve(curve, x));
  return (
    OPERATORS.has(index.maker(name)?.opType ?? '') ||
    isPair(name, 'Mul', (a, product) =>
      isPair(product, 'Mul', (b, c) => isProduct(a, b, c) || isProduct(b, a, c) || isProduct(b, c, a)),
    )
  );
}
