import adapter from '@sveltejs/adapter-node';
import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vite';

// Where it is mounted, if not at the root.
const paths = { base: process.env.BASE_PATH ?? '' };

export default defineConfig({ plugins: [sveltekit({ adapter: adapter(), paths })] });
