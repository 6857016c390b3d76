// The one command before a commit: linters, a build in which warnings are errors, all tests.
import { main, prepare, run } from './lib/prepare.mjs';

process.env.TSGI_WERROR = '1';
await main(() => {
  prepare();
  run(process.execPath, ['scripts/lint.mjs']);
  run(process.execPath, ['scripts/test.mjs']);
});
