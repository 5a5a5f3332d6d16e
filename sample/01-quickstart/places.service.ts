import { Injectable, NotFoundException } from '@nestjs/common';
import { loadPlaces, type Place } from './place.js';
import { distanceKm, type Position } from './position.js';
import { countTypos, fold, spellingsOf } from './spelling.js';

const MAX_RESULTS = 10;

export interface FoundPlace extends Place {
  readonly km: number;
}

/** The places of the world, in memory: what you correct is forgotten when the process ends. */
@Injectable()
export class PlacesService {
  private readonly places = new Map<number, { place: Place; spellings: readonly string[] }>();

  constructor() {
    for (const place of loadPlaces()) this.put(place);
  }

  /** Compares every name in the world: a typo counts as much as being ten times as far away. */
  search(name: string, near: Position): FoundPlace[] {
    const wanted = fold(name);
    const found: { place: FoundPlace; score: number }[] = [];
    for (const { place, spellings } of this.places.values()) {
      const typos = countTypos(wanted, spellings);
      if (typos > wanted.length / 2) continue;
      const km = distanceKm(near, place);
      found.push({ place: { ...place, km: Math.round(km) }, score: typos + Math.log10(1 + km) });
    }
    found.sort((a, b) => a.score - b.score);
    return found.slice(0, MAX_RESULTS).map(({ place }) => place);
  }

  all(): Place[] {
    return Array.from(this.places.values(), ({ place }) => place);
  }

  find(id: number): Place {
    const known = this.places.get(id);
    if (!known) throw new NotFoundException(`No place has the id ${id}.`);
    return known.place;
  }

  correct(id: number, correction: Partial<Pick<Place, 'name' | 'population'>>): Place {
    const known = this.find(id);
    const { name = known.name, population = known.population } = correction;
    const place = { ...known, name, population };
    this.put(place);
    return place;
  }

  private put(place: Place): void {
    this.places.set(place.id, { place, spellings: spellingsOf(place.name) });
  }
}
