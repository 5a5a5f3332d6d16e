import {
  BadRequestException,
  Body,
  Controller,
  Get,
  Param,
  ParseIntPipe,
  Patch,
  Query,
} from '@nestjs/common';
import { Cached, CacheEvict } from 'nestjs-cachekit';
import type { Place } from './place.js';
import { PlacesService, type FoundPlace } from './places.service.js';
import { PlaceCorrection, PlaceSearch } from './requests.js';

@Controller('places')
export class PlacesController {
  constructor(private readonly places: PlacesService) {}

  @Get()
  @Cached({ ttl: '1m', tags: ['places'] })
  search(@Query() { name, near }: PlaceSearch): FoundPlace[] {
    return this.places.search(name, near);
  }

  @Get(':id')
  find(@Param('id', ParseIntPipe) id: number): Place {
    return this.places.find(id);
  }

  @Patch(':id')
  @CacheEvict({ tags: ['places'] })
  correct(@Param('id', ParseIntPipe) id: number, @Body() correction: PlaceCorrection): Place {
    if (correction.name === undefined && correction.population === undefined) {
      throw new BadRequestException('Send a name, a population, or both.');
    }
    return this.places.correct(id, correction);
  }
}
