/**
 * The beginning of a (req, res) exchange: Node's own IncomingMessage and ServerResponse, filled as
 * parserOnHeadersComplete() of _http_common.js does and handed over as parserOnIncoming() of
 * _http_server.js does.
 *
 * A request with an `Upgrade` header comes here too, when nobody listens to 'upgrade' (upgrade.ts), and
 * is served like others. CONNECT does not reach a handler.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Exchange } from './exchange.ts';
import { S_METHOD, S_URI } from './head.ts';
import type { RequestInternals, ServerPlan } from './internals.ts';
import type { NodeExchange } from './request.ts';
import type { HostedResponse } from './response.ts';
import { kExchange } from './response.ts';

const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

export interface HostedRequest extends RequestInternals {
  [kExchange]?: Exchange;
}

/** @returns undefined if Apache does not serve the request. */
export function exchangeOf(req: IncomingMessage): Exchange | undefined {
  return (req as { [kExchange]?: Exchange })[kExchange];
}

/** What a request is made of. */
export interface RequestSource extends Exchange {
  readonly server: Server;
  readonly socket: Duplex;
}

export function makeRequest(exchange: RequestSource, plan: ServerPlan): HostedRequest {
  const { head, server } = exchange;
  const req: HostedRequest = new plan.Request(exchange.socket);
  req[kExchange] = exchange;
  req.httpVersionMajor = 1;
  req.httpVersionMinor = head.minor;
  req.httpVersion = head.minor === 1 ? '1.1' : '1.0';
  req.joinDuplicateHeaders = plan.joinDuplicateHeaders;
  req.url = head.url;
  if (head.mountLength > 0) {
    // By these Express, Fastify, connect and polka know that they are mounted, and where.
    req.originalUrl = head.string(S_URI);
    req.baseUrl = head.mountPoint;
  }
  req.upgrade = false;
  const { rawHeaders } = head;
  const most = server.maxHeadersCount;
  const count =
    most !== null && most > 0 ? Math.min(rawHeaders.length, most * 2) : rawHeaders.length;
  req._addHeaderLines(rawHeaders, count);
  req.method = head.string(S_METHOD);
  return req;
}

export function makeResponse(exchange: NodeExchange, plan: ServerPlan): HostedResponse {
  const { head, server } = exchange;
  const res: HostedResponse = new plan.Response(exchange.req, plan.responseOptions);
  res[kExchange] = exchange;
  res._keepAliveTimeout = server.keepAliveTimeout;
  res._maxRequestsPerSocket = server.maxRequestsPerSocket;
  res.shouldKeepAlive = head.minor === 1;
  // Connection and Keep-Alive are Apache's to say. An app that sets Connection itself undoes this.
  res._removedConnection = true;
  if (plan.uniqueHeadersSymbol !== undefined) res[plan.uniqueHeadersSymbol] = plan.uniqueHeaders;
  return res;
}

/** The tail of parserOnIncoming(). That there is a Host has been Apache's to see to. */
export function emitRequest(exchange: NodeExchange): void {
  const { head, server, req, res } = exchange;
  const expect = head.hasExpect && head.minor === 1 ? req.headers.expect : undefined;
  if (expect !== undefined) {
    emitExpecting(exchange, expect);
    return;
  }
  // A gateway before us may have taken the header away; nobody would let the body come then.
  exchange.sendContinue();
  server.emit('request', req, res);
}

function emitExpecting({ server, req, res }: NodeExchange, expect: string): void {
  if (CONTINUE.test(expect)) {
    res._expect_continue = true;
    if (server.listenerCount('checkContinue') > 0) {
      server.emit('checkContinue', req, res);
      return;
    }
    res.writeContinue();
    server.emit('request', req, res);
  } else if (server.listenerCount('checkExpectation') > 0) {
    server.emit('checkExpectation', req, res);
  } else {
    res.writeHead(417);
    res.end();
  }
}
