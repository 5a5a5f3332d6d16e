/** What other processes are told: these names were written or removed, or all were. Never what was written. */
export type Change = readonly string[] | 'all';

/** What a bus takes at most, in bytes of UTF-8. */
const MOST_BYTES = 4_000;

/**
 * The texts that tell of a change, each short enough for a bus.
 *
 * @param from who tells: a word of its own for each instance
 */
export function encodeChange(from: string, change: Change): string[] {
  if (change === 'all') return [JSON.stringify({ from, all: true })];
  const texts: string[] = [];
  const frameBytes = JSON.stringify({ from, names: [] }).length;
  let names: string[] = [];
  let bytes = frameBytes;
  for (const name of change) {
    // The comma too. JSON escapes lone surrogates, so UTF-8 carries any name.
    const moreBytes = Buffer.byteLength(JSON.stringify(name)) + 1;
    if (bytes + moreBytes > MOST_BYTES) {
      texts.push(JSON.stringify({ from, names }));
      names = [];
      bytes = frameBytes;
    }
    names.push(name);
    bytes += moreBytes;
  }
  if (names.length > 0) texts.push(JSON.stringify({ from, names }));
  return texts;
}

/** What a text tells; `undefined` if it is one's own. A text of another kind may mean anything: it tells of all. */
export function decodeChange(own: string, text: string): Change | undefined {
  const message = parse(text);
  if (message.from === own) return undefined;
  const { names } = message;
  return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : 'all';
}

function parse(text: string): { readonly from?: unknown; readonly names?: unknown } {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && message !== null ? message : {};
  } catch {
    // A later version of this package may write something else.
    return {};
  }
}
