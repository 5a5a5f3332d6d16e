import 'reflect-metadata';
import * as nest from '@nestjs/common/internal';
import { describe, expect, it } from 'vitest';
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
    const { RouteParamtypes: kind } = nest;
    expect(PARAMETER).toEqual({
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
      cookies: kind.COOKIES,
      signedCookies: kind.SIGNED_COOKIES,
    });
  });
});
