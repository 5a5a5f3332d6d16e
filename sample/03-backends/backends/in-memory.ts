import { InMemoryBackend } from 'nestjs-cachekit';

export const backend = new InMemoryBackend();
