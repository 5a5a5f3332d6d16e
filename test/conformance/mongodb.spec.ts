import { describeRemote } from './describe-remote.js';

describeRemote('MongoDBBackend');
