// Who is this request's user? Keeps it with enterWith(), as session libraries do, and tells what
// the store held before and in everything that came of the request. One app of each kind.
'use strict';
const { AsyncLocalStorage } = require('node:async_hooks');
const { readFile } = require('node:fs');

const users = new AsyncLocalStorage();
let batch = 0;
let isCounted = false;

/** Requests that are begun without a microtask between them have the same number. */
function batchNumber() {
  if (!isCounted) {
    isCounted = true;
    queueMicrotask(() => {
      isCounted = false;
      batch++;
    });
  }
  return batch;
}

/** Keeps the whole worker busy, so that the next requests come in one batch. */
function block(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

function begin(user) {
  const seen = { user, batch: batchNumber(), before: users.getStore() ?? null, later: [] };
  users.enterWith(user);
  return seen;
}

function note(seen) {
  seen.later.push(users.getStore() ?? null);
}

async function finish(seen) {
  note(seen);
  await null;
  note(seen);
  await new Promise((resolve) => setImmediate(resolve));
  note(seen);
  await new Promise((resolve) => readFile(__filename, resolve));
  note(seen);
  return JSON.stringify(seen);
}

module.exports = { begin, block, finish, note };
