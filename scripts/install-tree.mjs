// Copies the built tree with what it needs at run time: node scripts/install-tree.mjs DIRECTORY
import { Failure, main } from './lib/prepare.mjs';
import { installTree } from './lib/install-tree.mjs';

await main(() => {
  const target = process.argv[2];
  if (!target) throw new Failure('Usage: node scripts/install-tree.mjs DIRECTORY');
  installTree(target);
});
