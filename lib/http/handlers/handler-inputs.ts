import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { methodsOf } from './decorated-handlers.js';
import { NEST_METADATA, PARAMETER } from './nest-metadata.js';

/** What a handler takes from a request, as its parameter decorators say. */
export interface HandlerInputs {
  /** The headers it takes by name, in lower case. */
  readonly headers: readonly string[];
  /** What it takes that may depend on anything, as the app wrote it: `@Req()`. The key can't see these. */
  readonly unseen: readonly string[];
  /** It takes `@Res()` without passthrough, or `@Next()`, and may answer by itself. */
  readonly mayAnswerItself: boolean;
  /** It takes `@Res({ passthrough: true })`, and may set the status and headers. */
  readonly takesResponse: boolean;
}

/** Parameters that stand in the key, or (the body) are empty whenever the cache is used. */
const SEEN: ReadonlySet<number> = new Set([PARAMETER.query, PARAMETER.param, PARAMETER.host, PARAMETER.body]);

const DECORATORS: Readonly<Record<number, string>> = {
  [PARAMETER.request]: '@Req()',
  [PARAMETER.headers]: '@Headers() without a name',
  [PARAMETER.session]: '@Session()',
  [PARAMETER.file]: '@UploadedFile()',
  [PARAMETER.files]: '@UploadedFiles()',
  [PARAMETER.ip]: '@Ip()',
  [PARAMETER.rawBody]: '@RawBody()',
  [PARAMETER.cookies]: '@Cookies()',
  [PARAMETER.signedCookies]: '@SignedCookies()',
};

/** One parameter, as Nest stores it under `<kind>:<index>`. */
interface RouteArgument {
  readonly data?: unknown;
}

/** Reads what the parameter decorators of a handler say, those that it inherits included. */
export function readInputs(controller: Type, handler: object): HandlerInputs {
  const headers = new Set<string>();
  const unseen = new Set<string>();
  let mayAnswerItself = false;
  let takesResponse = false;
  const names = methodNames(controller, handler);
  if (names.length === 0)
    unseen.add('its parameters, since something put another function in the place of the method');
  const isPassthrough = names.some((name) => isPassedThrough(controller, name));
  for (const [name, { data }] of routeArguments(controller, names)) {
    const kind = name.includes(NEST_METADATA.customArgument) ? Number.NaN : Number(name.split(':')[0]);
    if (kind === PARAMETER.response && isPassthrough) takesResponse = true;
    else if (kind === PARAMETER.response || kind === PARAMETER.next) mayAnswerItself = true;
    else if (kind === PARAMETER.headers && typeof data === 'string' && data !== '')
      headers.add(data.toLowerCase());
    else if (!SEEN.has(kind)) unseen.add(DECORATORS[kind] ?? 'a custom parameter decorator');
  }
  return { headers: [...headers], unseen: [...unseen], mayAnswerItself, takesResponse };
}

/** Whether Nest answers for a handler that takes the response: it says so of the method, not of the parameter. */
function isPassedThrough(controller: Type, method: string): boolean {
  return Reflect.getMetadata(NEST_METADATA.passthrough, controller, method) === true;
}

function routeArguments(controller: Type, methods: readonly string[]): [string, RouteArgument][] {
  return methods.flatMap((method) => {
    const metadata: unknown = Reflect.getMetadata(NEST_METADATA.routeArguments, controller, method);
    return Object.entries((metadata ?? {}) as Readonly<Record<string, RouteArgument>>);
  });
}

/** The names that a method has in a class; found by identity, since a function may be called anything. */
function methodNames(controller: Type, handler: object): string[] {
  const names: string[] = [];
  for (const [name, method] of methodsOf(controller)) if (method === handler) names.push(name);
  return names;
}
