// Vitest runs this file before each spec file, and what it imports once a worker.
import './servers/end-with-vitest.js';
