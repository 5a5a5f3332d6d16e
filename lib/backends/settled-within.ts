/** Resolves when `work` has settled, either way, or the time is over: true if it has settled. */
export async function settledWithin(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  const isSettled = await Promise.race([settled, limit]);
  clearTimeout(timer);
  return isSettled;
}
