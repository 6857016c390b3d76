/** Runs (req, res) apps over the fake channel. */
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { FakeChannel, FakeHost } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

export function hostOf(listener: RequestListener): FakeHost {
  return makeHost({ kind: 'server', server: createServer(listener) });
}

export function channelOf(listener: RequestListener): FakeChannel {
  return hostOf(listener).channel;
}
