// What this machine's Apache httpd is: its binary, its modules, and the accounts that a
// private server runs under.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from './prepare.mjs';

function ask(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** Finds httpd as apxs reports it. @returns {{ binary: string, modules: string, builtIn: string }} */
export function findHttpd() {
  const apxs = ['apxs', 'apxs2'].find((name) => ask(name, ['-q', 'SBINDIR']) !== undefined);
  if (!apxs) throw new Failure('apxs was not found: run scripts/setup.sh.');
  const binary = join(ask(apxs, ['-q', 'SBINDIR']), ask(apxs, ['-q', 'PROGNAME']));
  const modules = ask(apxs, ['-q', 'LIBEXECDIR']);
  const builtIn = ask(binary, ['-l']);
  if (builtIn === undefined) throw new Failure(`${binary} does not run: run scripts/setup.sh.`);
  return { binary, modules, builtIn };
}

/** LoadModule lines for those of the named modules that are not compiled into httpd. */
export function loadModules({ modules, builtIn }, names) {
  const lines = [];
  // One MPM is always there: compiled in, or event as a module of its own.
  const hasMpm = /^\s*(event|worker|prefork|mpm_\w+)\.c$/m.test(builtIn);
  for (const name of hasMpm ? names : ['mpm_event', ...names]) {
    if (new RegExp(`\\bmod_${name}\\.c$`, 'm').test(builtIn)) continue;
    const file = join(modules, `mod_${name}.so`);
    if (!existsSync(file)) throw new Failure(`${file} is missing: is httpd installed completely?`);
    lines.push(`LoadModule ${name}_module "${file}"`);
  }
  return lines.join('\n');
}

/** An account by name, or undefined. @returns {{ name, group, uid, gid } | undefined} */
function account(name) {
  const uid = ask('id', ['-u', name]);
  if (uid === undefined) return undefined;
  return {
    name,
    group: ask('id', ['-gn', name]),
    uid: Number(uid),
    gid: Number(ask('id', ['-g', name])),
  };
}

/** The first of the named accounts that exists. Only root needs one. */
export function unprivilegedAccount(...names) {
  for (const name of names) {
    const found = account(name);
    if (found) return found;
  }
  throw new Failure(
    `Expected one of the accounts ${names.join(', ')} to exist; Apache does not run as root.`,
  );
}
