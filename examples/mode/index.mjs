// Tells how it is hosted: in a process group of its own (daemon mode), or inside of Apache's
// own processes (embedded mode), where the name of the process group is empty.
export function application(environ, startResponse) {
  const output = environ['tsgi.process_group'] === '' ? 'EMBEDDED MODE' : 'DAEMON MODE';
  startResponse('200 OK', [
    ['Content-Type', 'text/plain'],
    ['Content-Length', String(output.length)],
  ]);
  return [output];
}
