/** Runs TSGI callables over the fake channel. */
import type { Application, Body, Environ } from '../../src/types.ts';
import type { FakeExchange, FakeHost, RequestSpec } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

export function hostOf(application: Application): FakeHost {
  return makeHost({ kind: 'callable', application });
}

export async function call(
  application: Application,
  spec: RequestSpec = {},
): Promise<FakeExchange> {
  return hostOf(application).channel.request(spec);
}

/** Calls an application that is wrong on purpose: its types are not looked at. */
export async function callWrong(
  application: (environ: Environ, start: (...args: unknown[]) => void) => unknown,
  spec: RequestSpec = {},
): Promise<FakeExchange> {
  return call(application as unknown as Application, spec);
}

export async function environOf(spec: RequestSpec): Promise<Environ> {
  let environ: Environ | undefined;
  await call((given, start) => {
    environ = given;
    start(204);
    return '';
  }, spec);
  return environ!;
}

export const OK = [['Content-Type', 'text/plain']] as const;

export function answering(body: () => Body | Promise<Body>): Application {
  return (_environ, start) => {
    start(200, OK);
    return body();
  };
}
