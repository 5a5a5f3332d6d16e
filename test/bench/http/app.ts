import { ContestantProcess } from '../measure/contestant-process.js';

export const ADAPTERS = ['fastify', 'express'] as const;
export type Adapter = (typeof ADAPTERS)[number];

/** No cache, ours, the one of Nest's documentation, and an interceptor that knows the answer. */
export const KINDS = ['uncached', 'cachekit', 'cache-manager', 'constant'] as const;
export type Kind = (typeof KINDS)[number];

/** What an app's process can be asked: its address, how often handlers ran, to send these headers from now on. */
export type Question = 'url' | 'runs' | { readonly headers: Readonly<Record<string, string>> };

/** The core that apps have for themselves; who asks them has the other one. */
export const APP_CORE = 0;
export const ASKING_CORE = 1;

/** A Nest app in a process of its own. */
export interface App {
  readonly adapter: Adapter;
  readonly kind: Kind;
  readonly url: string;
  readonly process: ContestantProcess;
}

export async function startApp(adapter: Adapter, kind: Kind): Promise<App> {
  const name = `${kind} on ${adapter}`;
  const process = await ContestantProcess.start(name, 'http/app.process.js', [adapter, kind], {
    core: APP_CORE,
  });
  return { adapter, kind, url: await process.ask<string>('url'), process };
}
