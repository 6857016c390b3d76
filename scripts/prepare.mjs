// Brings the tree from wherever it is to built: system packages, npm packages, build.
import { requireNode } from './lib/node-version.mjs';

requireNode();
const { main, prepare } = await import('./lib/prepare.mjs');
await main(prepare);
