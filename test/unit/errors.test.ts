import { expect } from 'chai';
import { errorLine, errorTable, TsgiError, type ErrorNumber } from '../../src/errors.ts';

const numbers = Object.keys(errorTable).map(Number) as ErrorNumber[];

describe('the table of errors', () => {
  it('stays in the ranges of this side', () => {
    expect(numbers.every((number) => number >= 500 && number <= 999)).to.equal(true);
  });
});

describe('TsgiError', () => {
  it('carries id, text with its details, status and cause', () => {
    const cause = new Error('below');
    const error = new TsgiError(601, { script: '/srv/$1{script}.js' }, { cause });
    expect(error.message).to.match(/^TSGI0601: script \/srv\/\$1\{script\}\.js does not exist/);
    expect(error).to.include({
      code: 'TSGI0601',
      number: 601,
      status: 404,
      cause,
      name: 'TsgiError',
    });
    expect(new TsgiError(607)).to.have.property('status', 500);
  });

  it('shows a detail that is missing by its name, and takes none from a prototype', () => {
    expect(errorLine(509)).to.equal(
      'TSGI0509: {count} log lines were dropped because Apache did not read them in time',
    );
    expect(errorLine(500, { reason: '{constructor}' })).to.include('{constructor}');
  });
});
