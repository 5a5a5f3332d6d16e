/** The id of a write on its server, never 0 (which would match whatever is there), and its generation. */
const VERSION = /^(?!0{16})([\da-f]{16})([\w-]+)$/;

/**
 * A version: the server's compare-and-swap id, and the generation, since a server that was restarted gives the same
 * ids again.
 */
export function toVersion(cas: string, generation: string): string {
  return cas + generation;
}

/** What a version was made of. Undefined: nobody made it here. */
export function readVersion(version: string): { cas: string; generation: string } | undefined {
  const [, cas, generation] = VERSION.exec(version) ?? [];
  return cas === undefined || generation === undefined ? undefined : { cas, generation };
}
