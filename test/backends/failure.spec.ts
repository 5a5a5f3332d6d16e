import { MongoServerSelectionError } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { clientMessage, withoutSecrets } from '../../lib/backends/failure.js';
import { explain } from '../../lib/backends/dynamodb/dynamodb.failure.js';

const unreadable = new SyntaxError(`Unexpected token 's', "secret-of-a-user" is not valid JSON`);

describe('An error of a client', () => {
  it.each([
    ['as its cause', new Error('', { cause: unreadable })],
    ['as one of several', new AggregateError([unreadable], '')],
  ])('does not repeat an answer of DynamoDB that has its parser %s', (_, error) => {
    expect(explain(error, 'here').message).not.toContain('secret-of-a-user');
  });

  it('tells of all addresses that failed', () => {
    const error = new AggregateError([new Error('one\nsigned request'), new Error('two')], '');

    expect(explain(error, 'here').message).toContain('(one, two)');
  });

  it('has a message where the original has none at all', () => {
    const error = Object.assign(new Error(), { message: undefined });

    expect(clientMessage(error)).toBe('Error');
  });

  it('has no code where the original has none', () => {
    const error = new MongoServerSelectionError('Server selection timed out', {} as never);

    expect(withoutSecrets(error)).not.toHaveProperty('code');
  });
});
