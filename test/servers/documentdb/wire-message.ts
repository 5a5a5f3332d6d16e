/** A question of a client, in MongoDB's wire protocol. */
export interface Question {
  readonly id: number;
  /** The command, a BSON document, with everything that belongs to it. */
  readonly command: Buffer;
  /** Clients say hello in a message of the old kind, and understand only its kind of answer. */
  readonly isOldKind: boolean;
  readonly wantsAnswer: boolean;
  /** The client takes any number of answers to this one question. */
  readonly takesMore: boolean;
}

const HEADER_BYTES = 16;
const [OP_REPLY, OP_QUERY, OP_MSG] = [1, 2004, 2013];
const [CHECKSUM_PRESENT, MORE_TO_COME, EXHAUST_ALLOWED] = [1, 2, 1 << 16];
/** Set in every answer of the old kind. */
const AWAIT_CAPABLE = 8;
const [BSON_EMBEDDED_DOCUMENT, BSON_ARRAY] = [3, 4];
const END = Buffer.from([0]);

/** Finds the questions in a stream of bytes. */
export class QuestionReader {
  private chunks: Buffer[] = [];
  private length = 0;

  /** The questions that are complete now. */
  *take(chunk: Buffer): Generator<Question> {
    this.chunks.push(chunk);
    this.length += chunk.length;
    for (let needed = this.needed(); this.length >= needed; needed = this.needed()) {
      const bytes = Buffer.concat(this.chunks);
      this.chunks = [bytes.subarray(needed)];
      this.length -= needed;
      yield toQuestion(bytes.subarray(0, needed));
    }
  }

  /** Once for each chunk, and not a copy of all for each: a document of 16 MB comes in hundreds of them. */
  private needed(): number {
    if (this.length < HEADER_BYTES) return HEADER_BYTES;
    const [first] = this.chunks;
    if (first && first.length >= HEADER_BYTES) return first.readInt32LE(0);
    this.chunks = [Buffer.concat(this.chunks)];
    return this.needed();
  }
}

/** One of several answers to a question. */
interface InSeries {
  /** The number of the message before it; absent means the question. */
  readonly after?: number;
  /** Whether more follow; absent means no. */
  readonly more?: boolean;
}

/**
 * The answer to a question, as it goes to the client.
 *
 * @param document a BSON document
 */
export function toAnswer(
  { id, isOldKind }: Question,
  document: Uint8Array,
  { after = id, more = false }: InSeries = {},
): Buffer {
  if (isOldKind) {
    const fields = Buffer.alloc(20);
    fields.writeInt32LE(AWAIT_CAPABLE, 0);
    fields.writeInt32LE(1, 16);
    return frame(OP_REPLY, 0, id, [fields, document]);
  }
  const flags = Buffer.alloc(5);
  flags.writeUInt32LE(more ? MORE_TO_COME : 0, 0);
  return frame(OP_MSG, after + 1, after, [flags, document]);
}

function frame(operation: number, id: number, answersTo: number, parts: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeInt32LE(
    parts.reduce((sum, { length }) => sum + length, HEADER_BYTES),
    0,
  );
  header.writeInt32LE(id, 4);
  header.writeInt32LE(answersTo, 8);
  header.writeInt32LE(operation, 12);
  return Buffer.concat([header, ...parts]);
}

function toQuestion(message: Buffer): Question {
  const id = message.readInt32LE(4);
  const operation = message.readInt32LE(12);
  if (operation === OP_QUERY) {
    // Flags, the name of a collection, two numbers, and the command.
    const start = message.indexOf(0, HEADER_BYTES + 4) + 1 + 8;
    const command = documentAt(message, start);
    return { id, command, isOldKind: true, wantsAnswer: true, takesMore: false };
  }
  if (operation !== OP_MSG) throw new Error(`The gateway does not know the operation ${operation}.`);
  const flags = message.readUInt32LE(HEADER_BYTES);
  const end = message.length - (flags & CHECKSUM_PRESENT ? 4 : 0);
  return {
    id,
    command: toCommand(message.subarray(HEADER_BYTES + 4, end)),
    isOldKind: false,
    wantsAnswer: (flags & MORE_TO_COME) === 0,
    takesMore: (flags & EXHAUST_ALLOWED) !== 0,
  };
}

/** Clients send long lists of documents beside the command; the engine takes them as a part of it. */
function toCommand(sections: Buffer): Buffer {
  let body: Buffer = Buffer.alloc(0);
  const lists: Buffer[] = [];
  for (let start = 0; start < sections.length;) {
    const isBody = sections[start] === 0;
    const length = sections.readInt32LE(start + 1);
    const section = sections.subarray(start + 1, start + 1 + length);
    if (isBody) body = section;
    else lists.push(toArrayElement(section));
    start += 1 + length;
  }
  return lists.length === 0 ? body : withElements(body, lists);
}

function toArrayElement(section: Buffer): Buffer {
  const nameEnd = section.indexOf(0, 4);
  const elements: Buffer[] = [];
  for (let start = nameEnd + 1; start < section.length;) {
    const document = documentAt(section, start);
    elements.push(element(BSON_EMBEDDED_DOCUMENT, `${elements.length}`, document));
    start += document.length;
  }
  const array = withElements(Buffer.from([5, 0, 0, 0, 0]), elements);
  return element(BSON_ARRAY, section.toString('utf8', 4, nameEnd), array);
}

function element(type: number, name: string, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`), value]);
}

function withElements(document: Buffer, elements: readonly Buffer[]): Buffer {
  const longer = Buffer.concat([document.subarray(0, -1), ...elements, END]);
  longer.writeInt32LE(longer.length, 0);
  return longer;
}

function documentAt(bytes: Buffer, start: number): Buffer {
  return bytes.subarray(start, start + bytes.readInt32LE(start));
}
