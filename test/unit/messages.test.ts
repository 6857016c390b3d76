import { expect } from 'chai';
import fc from 'fast-check';
import { encodeMessage, parseToSupervisor, parseToWorker } from '../../src/ipc/messages.ts';

describe('messages between supervisor and worker', () => {
  it('come back as they were sent, in one line of ASCII', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, (message, stack) => {
        const sent = { type: 'failed', code: 607, message, stack, needsTsx: true } as const;
        const line = encodeMessage(sent);
        expect(line).to.match(/^[\x20-\x7e]*\n$/);
        expect(parseToSupervisor(line.trimEnd())).to.deep.equal(sent);
      }),
    );
  });

  it('are read without what does not belong to them', () => {
    const line = JSON.stringify({ type: 'ready', entries: ['/a.js'], more: 1 });
    expect(parseToSupervisor(line)).to.deep.equal({ type: 'ready', entries: ['/a.js'] });
  });

  for (const line of [
    '',
    '[]',
    'null',
    '42',
    '{',
    '{}',
    '{"type":"boot"}',
    '{"type":"ready"}',
    '{"type":"ready","entries":[1]}',
    '{"type":"failed","code":-1,"message":""}',
    '{"type":"failed","code":601}',
    '{"type":"log","level":8,"text":""}',
    '{"type":"log","level":3,"text":{}}',
    '{"type":"failed","code":1,"message":"","stack":1}',
    '{"type":"failed","code":1,"message":"","clusterFork":true}',
    '{"type":"failed","code":1,"message":"","clusterFork":{"args":[]}}',
    '{"type":"failed","code":1,"message":"","clusterFork":{"args":[],"env":{"A":1}}}',
    '{"type":"failed","code":1,"message":"","clusterFork":{"args":[1],"env":{}}}',
    '{"type":"failed","code":1,"message":"","clusterFork":{"exec":1,"args":[],"env":{}}}',
  ]) {
    it(`from a worker are refused when they are ${line || 'empty'}`, () => {
      expect(() => parseToSupervisor(line)).to.throw();
    });
  }

  it('from a worker tell whole what a cluster is to run', () => {
    const clusterFork = { exec: '/srv/worker.js', args: ['--use', 'http'], env: { ROLE: 'web' } };
    const failed = { type: 'failed', code: 615, message: '', clusterFork } as const;
    expect(parseToSupervisor(encodeMessage(failed))).to.deep.equal(failed);
  });

  it('from the supervisor are read by their type', () => {
    const drain = { type: 'drain', reason: 'reload', timeoutMs: 5 } as const;
    expect(parseToWorker(encodeMessage(drain))).to.deep.equal(drain);
    expect(() => parseToWorker('{"type":"ready","entries":[]}')).to.throw(/type is "ready"/);
  });
});
