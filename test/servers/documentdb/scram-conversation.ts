import { randomBytes } from 'node:crypto';
import { BSON } from 'mongodb';
import { CommandError } from './engine-error.js';
import { bsonIn, type Engine } from './engine.js';

/** One login by SCRAM-SHA-256. The engine knows the users and checks the proof. */
export class ScramConversation {
  private user = '';
  private clientFirst = '';
  private serverFirst = '';
  private proved = false;

  constructor(private readonly engine: Engine) {}

  /** The user whose password was proved. */
  get provedUser(): string | undefined {
    return this.proved ? this.user : undefined;
  }

  /** Answers `saslStart`. */
  async start(mechanism: unknown, payload: BSON.Binary): Promise<BSON.Document> {
    if (mechanism !== 'SCRAM-SHA-256') {
      throw new CommandError(
        334,
        'MechanismUnavailable',
        `The mechanism ${String(mechanism)} is not enabled.`,
      );
    }
    this.clientFirst = textOf(payload).replace(/^n,[^,]*,/, '');
    this.user = field(this.clientFirst, 'n').replaceAll('=2C', ',').replaceAll('=3D', '=');
    const { salt, iterations } = await this.ask('scram_sha256_get_salt_and_iterations($1)', [this.user]);
    const nonce = field(this.clientFirst, 'r') + randomBytes(18).toString('base64');
    this.serverFirst = `r=${nonce},s=${String(salt)},i=${String(iterations)}`;
    return answer(this.serverFirst, false);
  }

  /** Answers `saslContinue`. A client asks once more after it was told that its proof is right. */
  async goOn(payload: BSON.Binary): Promise<BSON.Document> {
    if (this.proved) return answer('', true);
    const clientFinal = textOf(payload);
    const withoutProof = clientFinal.replace(/,p=.*$/, '');
    const message = `${this.clientFirst},${this.serverFirst},${withoutProof}`;
    const { ServerSignature } = await this.ask('authenticate_with_scram_sha256($1, $2, $3)', [
      this.user,
      message,
      field(clientFinal, 'p'),
    ]);
    this.proved = true;
    return answer(`v=${String(ServerSignature)}`, false);
  }

  private async ask(call: string, values: readonly string[]): Promise<BSON.Document> {
    const { result } = await this.engine.row(`SELECT documentdb_api_internal.${call} AS result`, values);
    const document = BSON.deserialize(bsonIn(result));
    if (document['ok'] === 1) return document;
    throw new CommandError(18, 'AuthenticationFailed', 'Authentication failed.');
  }
}

function answer(payload: string, done: boolean): BSON.Document {
  return { conversationId: 1, done, payload: new BSON.Binary(Buffer.from(payload)), ok: 1 };
}

function textOf(payload: BSON.Binary): string {
  return Buffer.from(payload.value()).toString();
}

function field(message: string, name: string): string {
  return new RegExp(`(?:^|,)${name}=([^,]*)`).exec(message)?.[1] ?? '';
}
