/** @type {import('next').NextConfig} */
export default {
  output: 'standalone',
  // This directory is the whole project, whatever lies above it.
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
};
