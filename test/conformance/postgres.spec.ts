import { describeRemote } from './describe-remote.js';

describeRemote('PostgresBackend');
