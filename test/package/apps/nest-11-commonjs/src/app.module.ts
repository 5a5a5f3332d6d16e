import { Module } from '@nestjs/common';
import { CachekitModule } from 'nestjs-cachekit';
import { NotesController } from './notes.controller';

@Module({
  imports: [CachekitModule.forRoot()],
  controllers: [NotesController],
})
export class AppModule {}
