import { AppModule } from './app.module.js';
import { serve } from './serve.js';

void serve(AppModule);
