const EARTH_RADIUS_KM = 6_371;
const RADIANS_PER_DEGREE = Math.PI / 180;

/** A point on the globe, in degrees. */
export interface Position {
  readonly latitude: number;
  readonly longitude: number;
}

/** Reads `53.55,9.99` (latitude first); `undefined` if the text is not a point on the globe. */
export function parsePosition(text: unknown): Position | undefined {
  if (typeof text !== 'string') return undefined;
  const match = /^(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)$/.exec(text);
  if (!match) return undefined;
  const position = { latitude: Number(match[1]), longitude: Number(match[2]) };
  const onGlobe = Math.abs(position.latitude) <= 90 && Math.abs(position.longitude) <= 180;
  return onGlobe ? position : undefined;
}

/** The great-circle distance in kilometres, by the haversine formula. */
export function distanceKm(a: Position, b: Position): number {
  const latitudeSine = Math.sin(((b.latitude - a.latitude) * RADIANS_PER_DEGREE) / 2);
  const longitudeSine = Math.sin(((b.longitude - a.longitude) * RADIANS_PER_DEGREE) / 2);
  const cosines = Math.cos(a.latitude * RADIANS_PER_DEGREE) * Math.cos(b.latitude * RADIANS_PER_DEGREE);
  const chord = Math.sqrt(latitudeSine ** 2 + cosines * longitudeSine ** 2);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, chord));
}
