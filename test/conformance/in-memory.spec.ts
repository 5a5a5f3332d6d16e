import { InMemoryBackend } from 'nestjs-cachekit';
import { describeBackend } from 'nestjs-cachekit/testing';
import { runner } from './describe-remote.js';

describeBackend('InMemoryBackend', (namespace) => new InMemoryBackend({ namespace }), runner);
