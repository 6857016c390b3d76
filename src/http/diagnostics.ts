/** The diagnostics channels of Node's own http servers: APM tools listen there. */
import { channel } from 'node:diagnostics_channel';
import type { NodeExchange } from './request.ts';

const requestStart = channel('http.server.request.start');
const responseFinish = channel('http.server.response.finish');

export function publishStart({ req, res, socket, server }: NodeExchange): void {
  if (!requestStart.hasSubscribers) return;
  requestStart.publish({ request: req, response: res, socket, server });
}

export function publishFinish({ req, res, socket, server }: NodeExchange): void {
  if (!responseFinish.hasSubscribers) return;
  responseFinish.publish({ request: req, response: res, socket, server });
}

export function isFinishHeard(): boolean {
  return responseFinish.hasSubscribers;
}
