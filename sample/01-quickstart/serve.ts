import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

/** Listens on PORT (3000 if there is none), prints what to try, and stops on Ctrl-C. */
export async function serve(module: Type): Promise<void> {
  const port = process.env['PORT'] ?? '3000';
  const app = await NestFactory.create(module, {
    logger: ['fatal', 'error', 'warn'],
    // A browser opens connections in advance; without this, Ctrl-C waits for it to close them.
    forceCloseConnections: true,
  });
  app.enableShutdownHooks([], { useProcessExit: true });
  try {
    await app.listen(Number(port));
  } catch (error) {
    console.error(explain(error, port));
    await app.close();
    process.exitCode = 1;
    return;
  }
  console.log(whatToTry(new URL(await app.getUrl()).port));
}

function explain(error: unknown, port: string): string {
  const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  if (!isTaken) return `Can't listen on port ${port}: ${String(error)}`;
  return `Port ${port} is taken. Stop what listens there, or set PORT to another one, such as PORT=3001.`;
}

function whatToTry(port: string): string {
  const url = `http://localhost:${port}`;
  const get = String.raw`curl -i -w "\n%{time_total} s\n"`;
  const patch = 'curl -i -X PATCH -H "Content-Type: application/json"';
  return `
Listening on ${url} (Ctrl-C stops it).

Ask twice. The first answer is computed, the second comes from the cache: look at Cache-Status and the time.
  ${get} "${url}/places?name=springfeild&near=39.8,-89.6"

Here a service keeps what it found, by hand: look at the time.
  ${get} "${url}/countries/US"

Correct a place, then ask again: what was cached is gone.
  ${patch} "${url}/places/4250542" -d "{\\"population\\": 115000}"
`;
}
