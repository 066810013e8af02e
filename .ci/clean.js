/** Removes every workspace's dist/, so that deleted tests do not survive as compiled JavaScript. */
import { readFile, rm } from 'node:fs/promises';

const root = new URL('../', import.meta.url);
const { workspaces } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
await Promise.all(
  workspaces.map((workspace) => rm(new URL(`${workspace}/dist/`, root), { recursive: true, force: true })),
);
