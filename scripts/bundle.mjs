// Builds the JavaScript of dist/: three bundles by esbuild, and the public surface (index.js
// with its declarations) by tsc. A bundle whose sources are not there yet is left out.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

/** CommonJS for what Apache starts: Node reads one file and no ES module loader is needed. */
const bundles = [
  { entry: 'src/supervisor/main.ts', out: 'supervisor.cjs', format: 'cjs' },
  { entry: 'src/worker/main.ts', out: 'worker.cjs', format: 'cjs' },
  { entry: 'src/cli/main.ts', out: 'cli.js', format: 'esm', banner: '#!/usr/bin/env node' },
];

/** Writes only what changed, and at once: a worker that starts meanwhile sees old or new. */
function install(path, contents, mode) {
  if (existsSync(path) && readFileSync(path).equals(Buffer.from(contents))) return;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, contents, { mode });
  renameSync(temporary, path);
}

async function bundle({ entry, out, format, banner }) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(dist, out),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format,
    sourcemap: 'linked',
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
    banner: banner ? { js: banner } : {},
    external: ['./tsgi.node', 'tsx', 'tsx/*', 'srvx', 'srvx/*', 'commander', 'esbuild'],
  });
  for (const file of result.outputFiles) {
    install(file.path, file.contents, banner && file.path.endsWith(out) ? 0o755 : 0o644);
  }
}

function emitPublicSurface() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (result.status !== 0) throw new Error('tsc -p tsconfig.build.json failed');
}

try {
  mkdirSync(dist, { recursive: true });
  await Promise.all(bundles.filter(({ entry }) => existsSync(join(root, entry))).map(bundle));
  if (existsSync(join(root, 'src/index.ts'))) emitPublicSurface();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
