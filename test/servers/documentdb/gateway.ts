import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { ClientConversation } from './client-conversation.js';
import { Commands } from './commands.js';
import { Engine } from './engine.js';
import { expireDocuments } from './expire-documents.js';
import { QuestionReader } from './wire-message.js';

/**
 * A process that speaks MongoDB's wire protocol and answers with what the DocumentDB engine answers. Only what the
 * tests need, and none of it mongod. It takes mongod's arguments, and the engine's address.
 */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '27017' },
    bind_ip: { type: 'string', default: '127.0.0.1' },
    auth: { type: 'boolean', default: false },
    engine: { type: 'string', default: '' },
    dbpath: { type: 'string' },
    nounixsocket: { type: 'boolean' },
    setParameter: { type: 'string', multiple: true, default: [] },
  },
});

const engine = new Engine(values.engine);
const commands = new Commands();

function serve(socket: Socket): void {
  const conversation = new ClientConversation(engine, commands, { asksForLogin: values.auth });
  const reader = new QuestionReader();
  let earlier = Promise.resolve();
  socket.setNoDelay(true);
  // The client is gone; there is nobody to tell.
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    for (const question of reader.take(chunk)) {
      const answer = earlier.then(() => conversation.answer(question, socket));
      earlier = answer.catch((error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        socket.destroy();
      });
    }
  });
}

const server = createServer(serve);
server.listen(Number(values.port), values.bind_ip);
await once(server, 'listening');
expireDocuments(engine, values.setParameter);
process.once('SIGTERM', () => process.exit());
process.stdout.write('Waiting for connections\n');
