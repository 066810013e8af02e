/** Numbers of a compiled model's matrices. */
export const PRECISIONS = ['int8', 'fp16', 'fp32'] as const;
export type Precision = (typeof PRECISIONS)[number];
