import { Injectable, NotFoundException } from '@nestjs/common';
import { CacheService } from 'nestjs-cachekit';
import type { Place } from './place.js';
import { PlacesService } from './places.service.js';

export interface CountryStatistics {
  readonly code: string;
  readonly places: number;
  readonly largest: Place;
  /** How many of its names no other country has. */
  readonly uniqueNames: number;
}

/** The cache without a decorator: the same tag, so that a corrected place evicts these as well. */
@Injectable()
export class CountriesService {
  constructor(
    private readonly places: PlacesService,
    private readonly cache: CacheService,
  ) {}

  statistics(code: string): Promise<CountryStatistics> {
    return this.cache.getOrSet(`country:${code}`, () => this.count(code), { ttl: '10m', tags: ['places'] });
  }

  private count(code: string): CountryStatistics {
    const places = this.places.all();
    const own = places.filter(({ country }) => country === code);
    const [first, ...others] = own;
    if (!first) throw new NotFoundException(`No place is in the country ${code}.`);

    const largest = others.reduce((a, b) => (b.population > a.population ? b : a), first);
    const names = new Set(own.map(({ name }) => name));
    for (const { name, country } of places) if (country !== code) names.delete(name);
    return { code, places: own.length, largest, uniqueNames: names.size };
  }
}
