/** `tsgi module-config`: the lines that load mod_tsgi into an Apache. */
import { requireBuilt } from './package.ts';
import type { PackagePlace } from './package.ts';

/** Quotes a path as httpd's configuration reader expects it. */
function quote(path: string): string {
  return `"${path.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * The configuration for this installation, with absolute paths; `node` is the Node.js that will
 * run the applications.
 * @throws TsgiError 900 if the package has not been built.
 */
export function moduleConfig(place: PackagePlace, node: string): string {
  requireBuilt(place);
  return `LoadModule tsgi_module ${quote(place.module)}\nTSGINode ${quote(node)}\n`;
}
