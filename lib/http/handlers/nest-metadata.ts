/**
 * The names under which Nest keeps what decorators say, and the numbers of its parameter kinds. Nest exports them from
 * different places in its versions 11 and 12, so they are written down here; a test compares them with Nest's own.
 */
export const NEST_METADATA = {
  interceptors: '__interceptors__',
  routeArguments: '__routeArguments__',
  customArgument: '__customRouteArgs__',
  passthrough: '__responsePassthrough__',
  method: 'method',
  headers: '__headers__',
  redirect: '__redirect__',
  render: '__renderTemplate__',
  sse: '__sse__',
} as const;

/** The kinds of parameters that the key or the plan knows how to treat. All others are inputs it can't see. */
export const PARAMETER = {
  request: 0,
  response: 1,
  next: 2,
  body: 3,
  query: 4,
  param: 5,
  headers: 6,
  session: 7,
  file: 8,
  files: 9,
  host: 10,
  ip: 11,
  rawBody: 12,
  cookies: 14,
  signedCookies: 15,
} as const;
