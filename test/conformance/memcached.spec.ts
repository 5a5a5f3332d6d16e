import { describeRemote } from './describe-remote.js';

describeRemote('MemcachedBackend');
