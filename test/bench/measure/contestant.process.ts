/** The process of a cache that others compete with: `contestant.process.js memory <name>` or `redis <name> <url>`. */
import { answerQuestions } from './answer-questions.js';
import { type Contestant, isolationOf, loadsOfStampede, measureGetOrSet, type Run } from './get-or-set.js';

/** What it can be asked. */
export type Question = { readonly run: Run } | { readonly isolation: true } | { readonly stampede: number };

const contestant = await create(process.argv.slice(2));

answerQuestions<Question>(async (question) => {
  if ('run' in question) return measureGetOrSet(contestant, question.run);
  if ('stampede' in question) return loadsOfStampede(contestant, question.stampede);
  return isolationOf(contestant);
});

async function create([kind, name = '', url = '']: readonly string[]): Promise<Contestant> {
  if (kind === 'memory') {
    const { MEMORY_CONTESTANTS } = await import('../memory/contestants.js');
    const make = MEMORY_CONTESTANTS[name];
    if (make !== undefined) return make();
  }
  if (kind === 'redis') {
    const { REDIS_CONTESTANTS } = await import('../redis/contestants.js');
    const make = REDIS_CONTESTANTS[name];
    if (make !== undefined) return make(url);
  }
  throw new Error(`There is no contestant ${name} in ${String(kind)}.`);
}
