import { expect } from 'chai';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { adviseDecorators, adviseEngines } from '../../src/worker/advice.ts';

describe('advice to the author of an app', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgi-advice-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  };

  it('comes when its package asks for another Node.js', () => {
    write('package.json', '{ "engines": { "node": ">=22" } }');
    const entry = join(directory, 'dist/server.js');
    expect(adviseEngines(entry, 'v20.19.0')).to.match(
      /^TSGI0627: the package \S+\/package\.json asks for Node\.js >=22 .* v20\.19\.0 runs it/,
    );
    expect(adviseEngines(entry, 'v22.0.0')).to.equal(undefined);
  });

  it('comes from the nearest package.json alone, and not from one beyond node_modules', () => {
    write('package.json', '{ "engines": { "node": ">=99" } }');
    write('inner/package.json', '{}');
    expect(adviseEngines(join(directory, 'inner/app.js'))).to.equal(undefined);
    expect(adviseEngines(join(directory, 'node_modules/app.js'))).to.equal(undefined);
  });

  it('does not come for what is no range, or no package.json', () => {
    for (const text of [
      '{',
      '[]',
      'null',
      '{ "engines": { "node": 4 } }',
      '{ "engines": { "node": "lts" } }',
    ]) {
      write('package.json', text);
      expect(adviseEngines(join(directory, 'app.js')), text).to.equal(undefined);
    }
  });

  it('comes when decorators ask for metadata and tsx compiles', () => {
    const entry = write('src/app.ts', '');
    const tsconfig = write(
      'tsconfig.json',
      '{ "compilerOptions": { "emitDecoratorMetadata": true } }',
    );
    expect(adviseDecorators(entry, 'tsx'))
      .to.include(`TSGI0630: the app ${entry}`)
      .and.include(tsconfig);
    expect(adviseDecorators(entry, 'node')).to.equal(undefined);
    write('tsconfig.json', '{ "compilerOptions": { "experimentalDecorators": true } }');
    expect(adviseDecorators(entry, 'tsx')).to.equal(undefined);
  });
});
