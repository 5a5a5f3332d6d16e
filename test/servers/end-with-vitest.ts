// A worker outlives a vitest that was killed until its current test ends, and its servers with it. Not by
// `process.exit`: vitest turns that into an error within a worker.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
