/**
 * Drift checks (the idea is mod_auth_openidc's): what is written down in two places says the same in both.
 * A check that finds no input fails; it never passes for lack of something to look at.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { root } from '../harness/place.ts';

function files(dir: string, pattern: RegExp): string[] {
  return readdirSync(join(root, dir)).flatMap((name) => {
    const path = `${dir}/${name}`;
    if (statSync(join(root, path)).isDirectory()) return files(path, pattern);
    return pattern.test(name) ? [path] : [];
  });
}
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((m) => m[1] ?? '');
const sources = (...dirs: string[]) => dirs.flatMap((dir) => files(dir, /\.(c|h|cc|ts)$/));

describe('message ids', () => {
  const documented = all(read('docs/errors.md'), /^## TSGI(\d{4})\b/gm);
  const inFiles = files('apache', /\.[ch]$/).map((path) =>
    all(read(path), /TSGI_LOGNO\(\s*(\d{4})\s*\)/g),
  );
  const inC = inFiles.flat();
  const inText = sources('apache', 'src', 'native/src').flatMap((path) =>
    all(read(path), /\bTSGI(\d{4})\b/g),
  );
  const table = all(read('src/error-table.ts'), /^\s*(\d{3,4}):/gm).map((n) => n.padStart(4, '0'));

  it('of the module belong to one source file each', () => {
    expect(inC.length).to.be.greaterThan(20);
    const once = inFiles.flatMap((ids) => [...new Set(ids)]);
    expect(once.filter((id, i) => once.indexOf(id) !== i)).to.deep.equal([]);
  });

  it('are documented, once each, in order', () => {
    expect(documented.length).to.be.greaterThan(40);
    expect(documented).to.deep.equal([...new Set(documented)].sort());
    const used = new Set([...inC, ...inText, ...table]);
    used.delete('0000');
    expect([...used].filter((id) => !documented.includes(id)).sort()).to.deep.equal([]);
  });

  it('that are documented are used', () => {
    const used = new Set([...inC, ...inText, ...table]);
    const numbers = new Set(
      sources('apache', 'src', 'native/src').flatMap((p) => all(read(p), /\b(\d{2,4})\b/g)),
    );
    const stale = documented.filter((id) => !used.has(id) && !numbers.has(String(Number(id))));
    expect(stale).to.deep.equal([]);
  });
});

describe('statuses of requests that the worker aborts', () => {
  it('are the same in the module and in src/errors.ts', () => {
    const names: Record<string, string> = {
      HTTP_NOT_FOUND: '404',
      HTTP_FORBIDDEN: '403',
      HTTP_GATEWAY_TIME_OUT: '504',
    };
    const inModule = [...read('apache/tsgi_error.c').matchAll(/\{(\d{3}), (HTTP_\w+)\}/g)].map(
      (m) => [m[1], names[m[2] ?? '']],
    );
    const rows = read('src/error-table.ts').split(/^ {2}(?=\d{3,4}:)/m);
    const inTable = rows
      .map((row) => [/^(\d+):/.exec(row)?.[1], /status: (40\d|504)/.exec(row)?.[1]])
      .filter(([, status]) => status !== undefined);
    expect(inModule.length).to.be.greaterThan(3);
    expect(inModule).to.deep.equal(inTable);
  });
});

describe('directives and options', () => {
  const directives = all(read('apache/tsgi_config.c'), /"(TSGI[A-Za-z]+)"/g).filter(
    (name, i, a) => a.indexOf(name) === i,
  );
  const options = all(read('apache/tsgi_options.c'), /^\s*(?:\{\s*|[A-Z_]+\()"([a-z-]+)",/gm);

  it('have a page each, and no page is about one that is not there', () => {
    expect(directives.length).to.be.greaterThan(8);
    const pages = files('docs/directives', /\.md$/).map((p) => p.replace(/^.*\/|\.md$/g, ''));
    expect(pages.filter((p) => p !== 'README').sort()).to.deep.equal([...directives].sort());
  });

  it('each option of TSGIDaemonProcess stands in its table of the documentation', () => {
    expect(options.length).to.be.greaterThan(20);
    const page = all(read('docs/directives/TSGIDaemonProcess.md'), /^\|\s*`([a-z-]+)`/gm);
    expect([...page].sort()).to.deep.equal([...options].sort());
  });
});

describe('boundaries', () => {
  it('the wire includes libc only', () => {
    const included = files('native/wire', /\.[ch]$/).flatMap((p) =>
      all(read(p), /#include\s+[<"]([^>"]+)[>"]/g),
    );
    expect(included.length).to.be.greaterThan(3);
    expect(
      included.filter((h) => !/^(std\w+|string|limits|assert)\.h$|^tsgi_\w+\.h$/.test(h)),
    ).to.deep.equal([]);
  });

  it('the addon includes nothing of httpd or APR, the module nothing of Node', () => {
    const addon = files('native/src', /\.(cc|h)$/).flatMap((p) =>
      all(read(p), /#include\s+[<"]([^>"]+)[>"]/g),
    );
    const module = files('apache', /\.[ch]$/).flatMap((p) =>
      all(read(p), /#include\s+[<"]([^>"]+)[>"]/g),
    );
    expect(addon.filter((h) => /^(apr|ap_|http)/.test(h))).to.deep.equal([]);
    expect(module.filter((h) => /node|napi|uv\.h/.test(h))).to.deep.equal([]);
  });

  it('the module measures time with a clock that nobody sets', () => {
    const module = files('apache', /\.[ch]$/);
    expect(module.filter((p) => read(p).includes('tsgi_clock_now()')).length).to.be.greaterThan(5);
    const wall = /\b(apr_time_now|gettimeofday|time)\(|CLOCK_REALTIME|\brequest_time\b/;
    const code = (path: string) => read(path).replace(/\/\*[^]*?\*\//g, '');
    expect(module.filter((path) => wall.test(code(path)))).to.deep.equal([]);
    const scripts = files('src', /\.ts$/).filter((path) => /\bDate\.now\(/.test(read(path)));
    expect(scripts).to.deep.equal([]);
  });

  it('only src/native.ts loads the addon; supervisor and worker do not import each other', () => {
    for (const path of files('src', /\.ts$/)) {
      const text = read(path);
      if (path !== 'src/native.ts') expect(text, path).to.not.match(/require\(.*tsgi\.node/);
      if (path.startsWith('src/supervisor/')) expect(text, path).to.not.match(/from '.*\/worker\//);
      if (path.startsWith('src/worker/')) expect(text, path).to.not.match(/from '.*\/supervisor\//);
    }
  });

  it('C functions stay within 80 lines, C files within 700, TypeScript files within 350', () => {
    for (const path of files('apache', /\.c$/).concat(files('native', /\.(c|cc)$/))) {
      const lines = read(path).split('\n');
      expect(lines.length, path).to.be.at.most(700);
      let start = -1;
      lines.forEach((line, i) => {
        if (line === '{') start = i;
        if (line === '}' && start >= 0) {
          expect(i - start + 1, `${path}:${String(start + 1)}`).to.be.at.most(80);
          start = -1;
        }
      });
    }
    for (const path of files('src', /\.ts$/))
      expect(read(path).split('\n').length, path).to.be.at.most(350);
  });
});
