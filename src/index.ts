/** The public surface of the package mod-tsgi: types of TSGI, a validator for it, and the worker. */
import { createRequire } from 'node:module';

export type {
  Application,
  Body,
  CgiVariables,
  Chunk,
  Environ,
  ErrorLog,
  HeaderValue,
  HeaderVariables,
  Mode,
  ResponseHeaders,
  StartResponse,
  TsgiRequestFacts,
  TsgiVariables,
} from './types.ts';
export { tsgi, type DrainInfo, type TsgiEvents } from './tsgi.ts';
export { validator } from './validate.ts';

const manifest = createRequire(import.meta.url)('../package.json') as { readonly version: string };

/** Version of the package. */
export const version: string = manifest.version;
