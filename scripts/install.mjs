// npm's install script. In a checkout it does nothing (`npm run build` does it all there). In
// an installed package it builds the native parts: both by CMake where that is possible, else
// the addon alone by npm's node-gyp. It never fails the installation: what is missing is said
// by the first command that needs it, and `npx tsgi build` makes up for it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (name) => join(root, name);
const isCheckout = existsSync(at('src'));
const isBuilt = existsSync(at('dist/tsgi.node')) && existsSync(at('dist/mod_tsgi.so'));

/** Runs a command quietly. @returns whether it succeeded. */
function succeeds(command, args) {
  return spawnSync(command, args, { cwd: root, stdio: 'ignore' }).status === 0;
}

if (!isCheckout && !isBuilt) {
  const nodeGyp = process.env.npm_config_node_gyp;
  if (succeeds(at('scripts/setup.sh'), ['--check'])) {
    succeeds(process.execPath, [at('scripts/native.mjs')]);
  } else if (nodeGyp) {
    succeeds(process.execPath, [nodeGyp, 'rebuild']);
  }
  if (!existsSync(at('dist/mod_tsgi.so'))) {
    console.log(
      'The Apache module was not built: `npx tsgi build` does it, and says what is missing.',
    );
  }
}
