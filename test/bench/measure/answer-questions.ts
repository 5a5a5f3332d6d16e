interface Message<Q> {
  readonly question: Q;
}

/** The other side of `ContestantProcess`: answers what the benchmark asks, one question after the other. */
export function answerQuestions<Q>(answer: (question: Q) => Promise<unknown>): void {
  const send = (message: object): void => {
    process.send?.(message);
  };
  process.on('message', ({ question }: Message<Q>) => {
    answer(question).then(
      (value) => send({ value }),
      (error: unknown) =>
        send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  // The benchmark was interrupted: nobody is left to ask.
  process.on('disconnect', () => process.exit());
  send({ value: 'ready' });
}
