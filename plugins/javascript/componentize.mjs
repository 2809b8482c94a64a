// Wraps plugin.js as a component: `node componentize.mjs SOURCE-FOLDER WIT-FOLDER WORLD OUT.wasm`. build.sh runs a copy
// beside the node_modules, so that the sources need none.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { componentize } from '@bytecodealliance/componentize-js';

const [source, witPath, worldName, out] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: join(source, 'plugin.js'),
  witPath,
  worldName,
  // All there are: the component then imports nothing of WASI.
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
});
await writeFile(out, component);
