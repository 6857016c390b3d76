/**
 * npm run bench [-- hello|memory|streams …options]: runs one benchmark, or all of them. Each measures mod_tsgi and what it is
 * compared with side by side in one run; none asserts anything.
 */
const benchmarks = ['hello', 'memory', 'streams'] as const;
const [first, ...rest] = process.argv.slice(2);
const chosen = benchmarks.filter((name) => name === first);
if (first !== undefined && !first.startsWith('-') && chosen.length === 0) {
  console.error(`expected one of ${benchmarks.join(', ')}; got "${first}"`);
  process.exit(2);
}
if (chosen.length > 0) process.argv.splice(2, process.argv.length, ...rest);
for (const name of chosen.length > 0 ? chosen : benchmarks) await import(`./${name}.ts`);
