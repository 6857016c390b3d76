// Who may import whom is part of the design (CONTRIBUTING.md), so the linter holds it.
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import prettier from 'eslint-config-prettier';
import n from 'eslint-plugin-n';
import tseslint from 'typescript-eslint';

/** Forbids imports by pattern, with the reason as the message. */
function forbid(files, ...rules) {
  return {
    files,
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: rules.map(([regex, message]) => ({ regex, message })) },
      ],
    },
  };
}

const addon = ['tsgi\\.node$', 'Only src/native.ts loads the addon.'];
const supervisor = ['/supervisor/', 'The supervisor and the worker never import each other.'];
const worker = ['/worker/', 'The supervisor and the worker never import each other.'];
const cli = ['/cli/', 'The command line is the outermost layer; nothing imports it.'];
const nativeAddon = ['/native\\.ts$', 'This layer must run where the addon is not built.'];

export default defineConfig(
  globalIgnores([
    'build/',
    'coverage/',
    'dist/',
    '.run/',
    '.tmp/',
    'test/apps/',
    'test/frameworks/*/',
    'test/**/fixtures/',
  ]),
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // A number in a message is readable as it is; everything else must be converted knowingly.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // Entries of process.env and of environ are named by others.
      '@typescript-eslint/dot-notation': 'off',
    },
  },
  {
    files: ['**/*.ts', '**/*.js', '**/*.mjs', '**/*.cjs'],
    plugins: { n },
    languageOptions: {
      globals: { ...n.configs['flat/recommended-module'].languageOptions.globals },
    },
    settings: { n: { version: '>=20.19' } },
    rules: {
      'n/no-deprecated-api': 'error',
      'n/no-unsupported-features/node-builtins': [
        'error',
        // What Node 20 calls experimental is there, and features are asked for before use.
        {
          allowExperimental: true,
          ignores: [
            'import.meta.dirname',
            'import.meta.filename',
            'process.features.typescript',
            'process.getBuiltinModule',
          ],
        },
      ],
      'n/prefer-node-protocol': 'error',
      'n/no-process-exit': 'off',
      'no-var': 'error',
      'prefer-const': 'error',
      eqeqeq: 'error',
    },
  },
  {
    files: ['**/*.cjs', 'examples/**/*.js', 'docker/**/*.js', 'bench/apps/**/*.js'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { ...n.configs['flat/recommended-script'].languageOptions.globals },
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // chai's assertions are expressions, mocha's describe blocks return nothing.
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Generators that play a client need not wait for anything.
      '@typescript-eslint/require-await': 'off',
    },
  },
  forbid(['src/supervisor/**'], addon, worker, cli, ['/http/', 'The supervisor speaks no HTTP.']),
  forbid(['src/worker/**'], addon, supervisor, cli),
  forbid(['src/http/**', 'src/tsgi/**'], addon, supervisor, worker, cli),
  forbid(
    ['src/ipc/**', 'src/errors.ts', 'src/log.ts'],
    addon,
    supervisor,
    worker,
    cli,
    nativeAddon,
  ),
  forbid(['src/cli/**'], addon, supervisor, worker, nativeAddon),
  forbid(['src/index.ts', 'src/types.ts'], addon, supervisor, cli, nativeAddon),
  prettier,
);
