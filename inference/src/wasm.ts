/** The part of the global WebAssembly used here; neither TypeScript's ES libraries nor Node's types declare it. */
declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number }) => WasmMemory;
  readonly Module: new (code: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

/** Memory that grows by pages of 64 KiB; growing replaces its buffer. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

const PAGE_BYTES = 65_536;

/** One page. */
export function newWasmMemory(): WasmMemory {
  return new WebAssembly.Memory({ initial: 1 });
}

/** Grows a memory to at least that many bytes. */
export function growTo(memory: WasmMemory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}

/** The exports of a module that imports its memory as `host.memory`. Throws when the CPU has no vector instructions. */
export function instantiateWasm(code: Uint8Array<ArrayBuffer>, memory: WasmMemory): unknown {
  return new WebAssembly.Instance(new WebAssembly.Module(code), { host: { memory } }).exports;
}
