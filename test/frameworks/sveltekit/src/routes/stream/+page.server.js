import { waiting } from '../../lib/waiting.js';

export function load() {
  return { first: 'first part', last: new Promise((go) => waiting.add(() => go('last part'))) };
}
