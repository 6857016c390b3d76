// All linters and formatters in one go; with --fix the formatters write instead of check.
// A tool that comes from the system is skipped with a notice where it is not installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/prepare.mjs';

const fix = process.argv.includes('--fix');

/** Files below the given directories whose names end so. */
function find(directories, ...endings) {
  return directories
    .filter((directory) => existsSync(join(root, directory)))
    .flatMap((directory) =>
      readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && endings.some((end) => entry.name.endsWith(end)))
        .map((entry) => join(entry.parentPath, entry.name)),
    );
}

const bin = (name) => join(root, 'node_modules/.bin', name);
const c = find(['apache', 'native', 'test/native', 'test/fuzz', 'bench'], '.c', '.h', '.cc');
const shell = [...find(['scripts'], '.sh'), join(root, '.ci/run')];

const cppcheck = [
  '--quiet',
  '--enable=warning,portability,performance',
  '--inline-suppr',
  '--error-exitcode=1',
  // System headers are not read: what they define must be told where a parse depends on it.
  '--suppress=missingIncludeSystem',
  '--suppress=unknownMacro',
  '--suppress=unmatchedSuppression',
  // A zero-sized flexible member and the like are httpd's and Node-API's own patterns.
  '-Inative',
  '-Inative/wire',
  '-Iapache',
  ...find(['apache', 'native'], '.c', '.cc'),
];

const tools = [
  {
    name: 'eslint',
    command: bin('eslint'),
    args: ['--max-warnings=0', ...(fix ? ['--fix'] : []), '.'],
  },
  { name: 'tsc', command: bin('tsc'), args: ['--noEmit'], checkOnly: true },
  {
    name: 'prettier',
    command: bin('prettier'),
    args: [fix ? '--write' : '--check', '--log-level=warn', '.'],
  },
  {
    name: 'clang-format',
    system: true,
    args: [...(fix ? ['-i'] : ['--dry-run', '-Werror']), ...c],
  },
  { name: 'cppcheck', system: true, args: cppcheck, checkOnly: true },
  { name: 'shellcheck', system: true, args: shell, checkOnly: true },
];

let failed = 0;
for (const { name, command = name, args, system, checkOnly } of tools) {
  if (fix && checkOnly) continue;
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error?.code === 'ENOENT' && system) {
    console.log(`lint: ${name} skipped: it is not installed (apt-get install ${name})`);
    continue;
  }
  if (error) console.error(`lint: ${name}: ${error.message}`);
  const ok = status === 0;
  console.log(`lint: ${name} ${ok ? 'ok' : 'FAILED'}`);
  if (!ok) failed++;
}
process.exitCode = failed > 0 ? 1 : 0;
