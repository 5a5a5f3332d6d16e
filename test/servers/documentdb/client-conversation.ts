import { BSON } from 'mongodb';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, Command, Commands } from './commands.js';
import { CommandError, toCommandError } from './engine-error.js';
import type { Engine } from './engine.js';
import { ScramConversation } from './scram-conversation.js';
import { toAnswer, type Question } from './wire-message.js';

/** What mongod 8.0 answers: the largest document, and the versions of the protocol. */
const LIMITS = {
  maxBsonObjectSize: 16 * 1024 * 1024,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 0,
  maxWireVersion: 25,
  logicalSessionTimeoutMinutes: 30,
};
/** The state of this process, which never changes: clients wait for news of it as long as they like. */
const TOPOLOGY_VERSION = { processId: new BSON.ObjectId(), counter: BSON.Long.ZERO };
/** `createUser` is one of them since somebody has to make the first user. */
const NEEDS_NO_LOGIN = [
  'buildinfo',
  'createuser',
  'endsessions',
  'hello',
  'ismaster',
  'ping',
  'saslcontinue',
  'saslstart',
];

/** What is said on one connection. */
export class ClientConversation {
  private engine: Engine;
  private login: ScramConversation | undefined;

  constructor(
    private readonly owner: Engine,
    private readonly commands: Commands,
    private readonly options: { readonly asksForLogin: boolean },
  ) {
    this.engine = owner;
  }

  /** Answers one question. Where the client waits for news, this resolves when it has gone. */
  async answer(question: Question, socket: Socket): Promise<void> {
    const command = toCommand(question.command);
    if (question.takesMore && command.fields['topologyVersion']) return tellNoNews(question, command, socket);
    const document = toBytes(await this.run(command).catch(toFailure));
    if (question.wantsAnswer) socket.write(toAnswer(question, document));
  }

  private async run(command: Command): Promise<Answer> {
    const { fields } = command;
    const name = command.name.toLowerCase();
    if (this.isStrange(name)) {
      throw new CommandError(13, 'Unauthorized', `Command ${command.name} requires authentication`);
    }
    switch (name) {
      case 'hello':
      case 'ismaster':
        return hello(fields);
      case 'ping':
      case 'endsessions':
        return { ok: 1 };
      case 'buildinfo':
        return { ok: 1, version: '8.0.0', versionArray: [8, 0, 0, 0], gitVersion: 'documentdb' };
      case 'serverstatus':
        return { ok: 1, pid: process.pid };
      case 'saslstart':
        this.login = new ScramConversation(this.owner);
        return this.login.start(fields['mechanism'], fields['payload']);
      case 'saslcontinue':
        return this.goOnWithLogin(fields);
      case 'createuser':
        return this.commands.run(this.owner, command);
      default:
        return this.commands.run(this.engine, command);
    }
  }

  private isStrange(name: string): boolean {
    if (!this.options.asksForLogin || NEEDS_NO_LOGIN.includes(name)) return false;
    return this.login?.provedUser === undefined;
  }

  private async goOnWithLogin(fields: BSON.Document): Promise<Answer> {
    if (!this.login) throw new CommandError(17, 'ProtocolError', 'No SASL session state found');
    const answer = await this.login.goOn(fields['payload']);
    const user = this.login.provedUser;
    if (user !== undefined && answer['done'] === true) this.engine = this.owner.as(user);
    return answer;
  }
}

function hello({ saslSupportedMechs }: BSON.Document): BSON.Document {
  return {
    ...LIMITS,
    ok: 1,
    ismaster: true,
    isWritablePrimary: true,
    helloOk: true,
    // A router of a cluster: clients take it as it is, and don't look for the members of a replica set.
    msg: 'isdbgrid',
    readOnly: false,
    localTime: new Date(),
    topologyVersion: TOPOLOGY_VERSION,
    ...(saslSupportedMechs !== undefined && { saslSupportedMechs: ['SCRAM-SHA-256'] }),
  };
}

/** Clients of today hear from a server about every ten seconds in this way, and notice at once when it is gone. */
async function tellNoNews(question: Question, { fields }: Command, socket: Socket): Promise<void> {
  for (let after = question.id; !socket.destroyed; after++) {
    await delay(Number(fields['maxAwaitTimeMS']));
    socket.write(toAnswer(question, toBytes(hello(fields)), { after, more: true }));
  }
}

function toCommand(bytes: Buffer): Command {
  const fields = BSON.deserialize(bytes, { promoteLongs: false, promoteBuffers: false });
  return { name: Object.keys(fields)[0] ?? '', database: String(fields['$db']), bytes, fields };
}

function toFailure(error: unknown): BSON.Document {
  const { code, codeName, message } = toCommandError(error);
  return { ok: 0, code, codeName, errmsg: message };
}

function toBytes(answer: Answer): Uint8Array {
  return Buffer.isBuffer(answer) ? answer : BSON.serialize(answer);
}
