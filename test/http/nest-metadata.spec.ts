import 'reflect-metadata';
import * as nest from '@nestjs/common/constants.js';
import { RouteParamtypes as kind } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { describe, expect, inject, it } from 'vitest';
import { NEST_METADATA, PARAMETER } from '../../lib/http/handlers/nest-metadata.js';

describe("What is written down of Nest's metadata", () => {
  it('has the names that Nest uses', () => {
    expect(NEST_METADATA).toEqual({
      interceptors: nest.INTERCEPTORS_METADATA,
      routeArguments: nest.ROUTE_ARGS_METADATA,
      customArgument: nest.CUSTOM_ROUTE_ARGS_METADATA,
      passthrough: nest.RESPONSE_PASSTHROUGH_METADATA,
      method: nest.METHOD_METADATA,
      headers: nest.HEADERS_METADATA,
      redirect: nest.REDIRECT_METADATA,
      render: nest.RENDER_METADATA,
      sse: nest.SSE_METADATA,
    });
  });

  it('has the numbers of the kinds of parameters', () => {
    const { cookies, signedCookies, ...others } = PARAMETER;
    expect(others).toEqual({
      request: kind.REQUEST,
      response: kind.RESPONSE,
      next: kind.NEXT,
      body: kind.BODY,
      query: kind.QUERY,
      param: kind.PARAM,
      headers: kind.HEADERS,
      session: kind.SESSION,
      file: kind.FILE,
      files: kind.FILES,
      host: kind.HOST,
      ip: kind.IP,
      rawBody: kind.RAW_BODY,
    });
    // Nest 11 has no decorators for cookies, nor anything else of these numbers.
    const names = inject('nest') === 11 ? [undefined, undefined] : ['COOKIES', 'SIGNED_COOKIES'];
    expect([kind[cookies], kind[signedCookies]]).toEqual(names);
  });
});
