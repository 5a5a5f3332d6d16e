import { Body, Controller, Get, Param, Put } from '@nestjs/common';
import { Cached, CacheEvict, CacheService } from 'nestjs-cachekit';

interface Note {
  readonly id: string;
  /** How often the handler has run for it. */
  readonly runs: number;
}

@Controller('notes')
export class NotesController {
  private readonly runs = new Map<string, number>();

  constructor(private readonly cache: CacheService) {}

  @Get(':id')
  @Cached({ ttl: '1m', tags: ({ params }) => [`note:${params.id}`] })
  find(@Param('id') id: string): Note {
    const runs = (this.runs.get(id) ?? 0) + 1;
    this.runs.set(id, runs);
    return { id, runs };
  }

  @Put(':id')
  @CacheEvict({ tags: ({ params }) => [`note:${params.id}`] })
  replace(@Param('id') id: string): Pick<Note, 'id'> {
    return { id };
  }

  @Put(':id/draft')
  async saveDraft(@Param('id') id: string, @Body() draft: object): Promise<void> {
    await this.cache.set(`draft:${id}`, draft, '1h');
  }

  @Get(':id/draft')
  async findDraft(@Param('id') id: string): Promise<object> {
    return (await this.cache.get<object>(`draft:${id}`)) ?? { missing: id };
  }
}
