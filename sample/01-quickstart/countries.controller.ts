import { Controller, Get, Param } from '@nestjs/common';
import { CountriesService, type CountryStatistics } from './countries.service.js';
import { CountryPath } from './requests.js';

@Controller('countries')
export class CountriesController {
  constructor(private readonly countries: CountriesService) {}

  @Get(':code')
  statistics(@Param() { code }: CountryPath): Promise<CountryStatistics> {
    return this.countries.statistics(code);
  }
}
