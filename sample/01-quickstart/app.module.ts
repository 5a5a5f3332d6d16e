import { Module } from '@nestjs/common';
import { CachekitModule } from 'nestjs-cachekit';
import { PlacesModule } from './places.module.js';

@Module({
  imports: [CachekitModule.forRoot(), PlacesModule],
})
export class AppModule {}
