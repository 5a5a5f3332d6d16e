import { describeRemote } from './describe-remote.js';

describeRemote('FirestoreBackend');
