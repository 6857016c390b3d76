// What monitoring packages do, by --require: listens to the diagnostics channels of node:http,
// replaces emit() of its servers, and wraps require().
'use strict';
const { AsyncLocalStorage } = require('node:async_hooks');
const { subscribe } = require('node:diagnostics_channel');
const Module = require('node:module');

globalThis.preloaded = [...(globalThis.preloaded ?? []), 'require'];
globalThis.seen = [];
globalThis.store = new AsyncLocalStorage();
const see = (text) => globalThis.seen.push(text);

subscribe('http.server.request.start', ({ request, response, socket, server }) => {
  see(`start ${request.url} ${response.req === request} ${socket === request.socket} ${server.listening}`);
});
subscribe('http.server.response.created', ({ request, response }) => {
  see(`created ${request.url} ${response.headersSent}`);
});
subscribe('http.server.response.finish', ({ request, response }) => {
  see(`finish ${request.url} ${response.statusCode} ${globalThis.store.getStore() ?? 'none'}`);
});

const load = Module.prototype.require;
Module.prototype.require = function require(name) {
  const exported = Reflect.apply(load, this, [name]);
  if (/^(node:)?http$/.test(name) && !exported.Server.prototype.isObserved) {
    const { prototype } = exported.Server;
    const { emit } = prototype;
    prototype.isObserved = true;
    prototype.emit = function observed(event, ...args) {
      if (event === 'request') see(`emit ${args[0].url}`);
      return Reflect.apply(emit, this, [event, ...args]);
    };
  }
  return exported;
};
