import { serve } from '../01-quickstart/serve.js';
import { AppModule } from './app.module.js';

void serve(AppModule);
