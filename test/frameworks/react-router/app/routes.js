import { index, route } from '@react-router/dev/routes';

export default [
  index('routes/home.jsx'),
  route('upload', 'routes/upload.js'),
  route('old', 'routes/old.js'),
  route('release', 'routes/release.js'),
  route('stream', 'routes/stream.jsx'),
];
