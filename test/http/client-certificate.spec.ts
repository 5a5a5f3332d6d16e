import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Cached, CachekitModule } from 'nestjs-cachekit';
import { describe, expect, it } from 'vitest';

/** Signed by itself, for this test and nothing else. */
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXNHGu6kyFZuBcLLa
7SDym/OTTFKLR6m/rQ0EWxRLxOqhRANCAAS+6lnnMz+IDqSf2wcyxKUiq+uSJGvp
y/P0PtwaTg5wx3Zo+kU5essUoaRRAP8jCTQ2i9dkjh/LkdFOA82DK7rh
-----END PRIVATE KEY-----
`;
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUDmivbOHdpUybp9a+RV8cCKnrz4kwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjAyNDAzNVoYDzIxMjYxMDI5
MDI0MDM1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS+6lnnMz+IDqSf2wcyxKUiq+uSJGvpy/P0PtwaTg5wx3Zo+kU5essU
oaRRAP8jCTQ2i9dkjh/LkdFOA82DK7rho1MwUTAdBgNVHQ4EFgQUND7ucMGINi3w
uiIGA5IP6Er+wmEwHwYDVR0jBBgwFoAUND7ucMGINi3wuiIGA5IP6Er+wmEwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA8+7nzfhFgR8l0fJGqFjA
ug6O9uqKpwwQOyN2cQYEKtkCIFiY29YUaEArOeKJF+MpUew64Olg6AwDe27aSADD
LHJP
-----END CERTIFICATE-----
`;

@Controller()
class SecureController {
  @Get('secure')
  @Cached()
  secure(): string {
    return 'secure';
  }
}

@Module({ imports: [CachekitModule.forRoot()], controllers: [SecureController] })
class SecureModule {}

/** Any certificate will do, and none at all too. */
const tls = { key: KEY, cert: CERTIFICATE, ca: CERTIFICATE, requestCert: true, rejectUnauthorized: false };

const platforms = {
  Express: () => NestFactory.create(SecureModule, { httpsOptions: tls, logger: false }),
  Fastify: () => NestFactory.create(SecureModule, new FastifyAdapter({ https: tls }), { logger: false }),
};

describe.each(['Express', 'Fastify'] as const)('A client certificate on %s', (platform) => {
  it('says who makes a request, so that it goes past the cache', async () => {
    const app = await platforms[platform]();
    try {
      await app.listen(0, '127.0.0.1');
      const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
      const ask = async (own: object): Promise<unknown> => {
        const sent = request({
          host: '127.0.0.1',
          port,
          path: '/secure',
          rejectUnauthorized: false,
          agent: false,
          ...own,
        });
        sent.end();
        const [response] = (await once(sent, 'response')) as [IncomingMessage];
        response.resume();
        await once(response, 'end');
        return response.headers['cache-status'];
      };
      expect(await ask({})).toBe('cachekit; fwd=uri-miss; stored');
      expect(await ask({})).toMatch(/hit/);
      expect(await ask({ key: KEY, cert: CERTIFICATE })).toBe('cachekit; fwd=bypass; detail=credentials');
    } finally {
      await app.close();
    }
  });
});
