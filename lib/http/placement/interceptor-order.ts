import 'reflect-metadata';
import { ClassSerializerInterceptor, type NestInterceptor, type Type } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import { NEST_METADATA } from '../handlers/nest-metadata.js';

/** An interceptor as Nest lists it: its class, or an instance. */
export type ListedInterceptor = Type<NestInterceptor> | NestInterceptor;

/** The interceptors that a class or a method lists, those it inherits included. */
export function listOf(target: object): readonly ListedInterceptor[] {
  return (Reflect.getMetadata(NEST_METADATA.interceptors, target) as ListedInterceptor[] | undefined) ?? [];
}

/** All interceptors of a handler, from the outermost to the innermost. */
export function interceptorsOf(
  config: ApplicationConfig,
  controller: Type,
  handler: object,
): readonly ListedInterceptor[] {
  return [
    ...config.getGlobalInterceptors(),
    ...globalRequestInterceptors(config),
    ...listOf(controller),
    ...listOf(handler),
  ];
}

/** The classes of the global interceptors that are made anew for each request; they run after the other global ones. */
export function globalRequestInterceptors(config: ApplicationConfig): readonly ListedInterceptor[] {
  return config.getGlobalRequestInterceptors().map(({ metatype }) => metatype as Type<NestInterceptor>);
}

/** Whether an interceptor turns instances of classes into what may leave the app. */
export function isClassSerializer(interceptor: ListedInterceptor): boolean {
  return isOf(interceptor, ClassSerializerInterceptor);
}

/**
 * Whether it is a class serializer that sees nothing of a request but what its handler answered. A subclass with an
 * `intercept` of its own may: it may choose the groups by the requester, or speak to the response.
 */
export function isUsualSerializer(interceptor: ListedInterceptor): boolean {
  if (!isClassSerializer(interceptor)) return false;
  const own = (typeof interceptor === 'function' ? interceptor.prototype : interceptor) as NestInterceptor;
  return Reflect.get(own, 'intercept') === Reflect.get(ClassSerializerInterceptor.prototype, 'intercept');
}

/** Whether an interceptor, listed as a class or as an instance, is of a class or extends it. */
export function isOf(interceptor: ListedInterceptor, type: Type<NestInterceptor>): boolean {
  if (typeof interceptor !== 'function') return interceptor instanceof type;
  // A factory listed by Nest (an arrow function) has no prototype.
  return interceptor === type || (interceptor.prototype as unknown) instanceof type;
}

/** Whether an interceptor, listed as a class or as an instance, is of one of these classes itself. */
export function isExactly(interceptor: ListedInterceptor, types: readonly Type<NestInterceptor>[]): boolean {
  const type: unknown = typeof interceptor === 'function' ? interceptor : interceptor.constructor;
  return types.some((one) => one === type);
}

/** What a message calls an interceptor: the name of its class, or "an interceptor" where there is none. */
export function nameOf(interceptor: ListedInterceptor): string {
  const name = typeof interceptor === 'function' ? interceptor.name : interceptor.constructor.name;
  return name === '' || name === 'Object' ? 'an interceptor' : name;
}

/** Gives a class or a method a list of its own, with one more: the one it has may be inherited, and others inherit it. */
export function insertInto(target: object, index: number, interceptor: Type<NestInterceptor>): void {
  const list = listOf(target).toSpliced(index, 0, interceptor);
  Reflect.defineMetadata(NEST_METADATA.interceptors, list, target);
}
