const BUILT_IN: Readonly<Record<string, ErrorConstructor>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** What of an Error can be stored. */
export interface ErrorParts {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** `cause`, `errors` of an AggregateError, and what the app added, such as `code` or `status`. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Stands for an Error among the data, so that the serializer knows it from a plain object. */
export class PortableError {
  constructor(readonly parts: ErrorParts) {}
}

/**
 * The Error that a stored one stands for. It is of the built-in kind it was, else a plain `Error` with the name
 * of its class: classes of the app are never revived.
 */
export function errorFromParts(parts: ErrorParts): Error {
  const kind = Object.hasOwn(BUILT_IN, parts.name) ? BUILT_IN[parts.name] : undefined;
  const error = new (kind ?? Error)(parts.message);
  if (error.name !== parts.name) hide(error, 'name', parts.name);
  hide(error, 'stack', parts.stack);
  for (const [name, value] of Object.entries(parts.properties)) {
    if (name === 'cause' || name === 'errors') hide(error, name, value);
    else Object.defineProperty(error, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return error;
}

/** As the language does: these properties of an error are not enumerable. */
function hide(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, writable: true, enumerable: false, configurable: true });
}
