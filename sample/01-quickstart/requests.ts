import { Transform } from 'class-transformer';
import { IsDefined, IsInt, Length, Matches, Max, Min, ValidateIf } from 'class-validator';
import { parsePosition, type Position } from './position.js';

const NAME_LENGTH = { message: 'name must be one text of 2 to 60 characters' };
const NAME_LETTER = { message: 'name must have a letter in it' };

/** The query of `GET /places`. */
export class PlaceSearch {
  @Length(2, 60, NAME_LENGTH)
  @Matches(/\p{L}/u, NAME_LETTER)
  readonly name!: string;

  @Transform(({ value }) => parsePosition(value))
  @IsDefined({ message: 'near must be a latitude and a longitude, for example near=53.55,9.99' })
  readonly near!: Position;
}

/** The body of `PATCH /places/:id`: what is left out stays as it is, and `null` is not left out. */
export class PlaceCorrection {
  @ValidateIf((_, name) => name !== undefined)
  @Length(2, 60, NAME_LENGTH)
  @Matches(/\p{L}/u, NAME_LETTER)
  readonly name?: string;

  @ValidateIf((_, population) => population !== undefined)
  @IsInt()
  @Min(0)
  @Max(50_000_000)
  readonly population?: number;
}

/** The path of `GET /countries/:code`. */
export class CountryPath {
  @Transform(({ value }) => String(value).toUpperCase())
  @Matches(/^[A-Z]{2}$/, { message: 'code must be the two letters of a country, for example DE' })
  readonly code!: string;
}
