/**
 * Runs npm scripts at once: `node .ci/parallel.js check:style check:imports`. Prints the output of each when it ends, and fails if one
 * of them failed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const scripts = process.argv.slice(2);

async function run(script) {
  const child = spawn('npm', ['run', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [output, errors, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  process.stdout.write(output);
  process.stderr.write(errors);
  return { script, status };
}

const failed = (await Promise.all(scripts.map(run))).filter(({ status }) => status !== 0);
for (const { script } of failed) console.error(`${script} failed.`);
process.exitCode = failed.length === 0 ? 0 : 1;
