import { PostgresBackend } from 'nestjs-cachekit/postgres';

export const backend = new PostgresBackend({
  url: process.env['POSTGRES_URL'] ?? 'postgres://postgres@localhost:5432/postgres',
});
