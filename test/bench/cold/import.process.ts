/** Imports one entry point after Nest, and prints what that took: `import.process.js <entry point>`. */
import 'reflect-metadata';
import '@nestjs/common';
import '@nestjs/core';

/** What an import took. */
export interface Imported {
  readonly ms: number;
  /** Of the heap, more than before; measured only with `--expose-gc`. */
  readonly bytes: number;
}

const name = process.argv[2] ?? '';
const before = usedBytes();
const start = performance.now();
await import(name);
const ms = performance.now() - start;
const imported: Imported = { ms, bytes: usedBytes() - before };
console.log(JSON.stringify(imported));

function usedBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
