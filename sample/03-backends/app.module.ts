import { Module } from '@nestjs/common';
import { CachekitModule } from 'nestjs-cachekit';
import { PlacesModule } from '../01-quickstart/places.module.js';
// The one line to change: redis.js, postgres.js, memcached.js, mongodb.js, firestore.js, dynamodb.js
import { backend } from './backends/in-memory.js';

@Module({ imports: [CachekitModule.forRoot(backend), PlacesModule] })
export class AppModule {}
