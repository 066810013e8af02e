/** Bytes of several files. Those of unknown size count as none. */
export function sumSizes(files: readonly { readonly sizeBytes?: number | undefined }[]): number {
  return files.reduce((sum, { sizeBytes = 0 }) => sum + sizeBytes, 0);
}

/** Files in the order of their paths: what lists them is the same in whatever order they were found. */
export function byPath<File extends { readonly path: string }>(files: readonly File[]): File[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}
