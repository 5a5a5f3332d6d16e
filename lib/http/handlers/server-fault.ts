import { HttpException, HttpStatus } from '@nestjs/common';

/**
 * Whether a handler failed for a reason that is not the request's own: then an answer that is stale is better than
 * none (RFC 5861, section 4: status 500, 502, 503, 504). That something does not exist, or is forbidden, is an answer.
 */
export function isServerFault(error: unknown): boolean {
  return !(error instanceof HttpException) || error.getStatus() >= Number(HttpStatus.INTERNAL_SERVER_ERROR);
}
