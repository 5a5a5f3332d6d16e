export { type Awaitable, CacheBackend, type Deadlines, type Stored } from './backends/cache-backend.js';
export { explainFailedImport } from './backends/client-package.js';
export { InMemoryBackend, type InMemoryBackendOptions } from './backends/in-memory.backend.js';
export type { BusListener, MessageBus } from './backends/message-bus.js';
export { checkNamespace, DEFAULT_NAMESPACE, storableKey } from './backends/namespace.js';
export { CachekitModule } from './cachekit.module.js';
export type {
  CachekitAsyncOptions,
  CachekitOptions,
  CachekitOptionsFactory,
  CachekitSetup,
} from './cachekit.options.js';
export {
  CacheNamespace,
  type GetOrSetOptions,
  type LockOptions,
  type SetOptions,
} from './core/cache-namespace.js';
export { CacheService } from './core/cache.service.js';
export {
  BackendTimeoutError,
  BackendUnavailableError,
  BrokenEntryError,
  CachekitConfigError,
  CachekitError,
  EntryTooLargeError,
  LoadTimeoutError,
  LockNotAcquiredError,
  MissingClientError,
  NotAnnouncedError,
  UnknownOutcomeError,
  UnserializableValueError,
} from './core/errors.js';
export type { Compression } from './core/compression.js';
export type { BackendOperation, CacheEvent, CacheEventListener, NotStored } from './core/events.js';
export { InjectCache } from './core/inject-cache.decorator.js';
export type { Load } from './core/load-timeout.js';
export type { CacheOptions } from './core/options.js';
export type { CacheSerializer, SerializedValue } from './core/serializer.js';
export { type NearBackend, TieredBackend, type TieredBackendOptions } from './core/tiered.backend.js';
export { type CacheToken, getBackendToken, getCacheToken } from './core/tokens.js';
export type { Ttl } from './core/ttl.js';
export type { CacheStats } from './core/stats.js';
export { ValueSerializer } from './core/value.serializer.js';
export {
  type CacheHealth,
  type CacheHealthOptions,
  CachekitHealthIndicator,
} from './health/cachekit.health-indicator.js';
export { CacheEvict } from './decorators/cache-evict.decorator.js';
export { CachePut } from './decorators/cache-put.decorator.js';
export { Cached } from './decorators/cached.decorator.js';
export type { CacheEvictOptions } from './http/options/cache-evict-options.js';
export type { CachedOptions, OwnKey, TagsOf } from './http/options/cached-options.js';
export type { Call, Callback, QueryValue } from './http/options/call.js';
export type { CacheScope, HttpCacheOptions, StoredBody } from './http/options/http-options.js';
export type { HttpRequest } from './http/http-exchange.js';
export type { CachePutOptions } from './methods/cache-put-options.js';
