import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { standardCipherName } from '../../src/http/tls.ts';

describe("the IETF's names of cipher suites", () => {
  const output = execFileSync('openssl', ['ciphers', '-stdname', 'ALL:COMPLEMENTOFALL'], {
    encoding: 'utf8',
  });
  const suites = output
    .trim()
    .split('\n')
    .map((line) => /^(\S+)\s+-\s+(\S+)/.exec(line)?.slice(1) ?? expect.fail(line));

  it('are those that OpenSSL gives them, for all suites of servers with a certificate', () => {
    const usual = suites.filter(([, name]) => !/PSK|SRP|A(EC)?DH-|NULL/.test(name ?? ''));
    expect(usual).to.have.length.greaterThan(50);
    expect(usual.map(([, name]) => [standardCipherName(name ?? ''), name])).to.deep.equal(usual);
  });

  it("are OpenSSL's own for suites without one", () => {
    expect(standardCipherName('ADH-AES128-SHA256')).to.equal('ADH-AES128-SHA256');
    expect(standardCipherName('PSK-AES128-CCM8')).to.equal('PSK-AES128-CCM8');
  });
});
