/** Entry point of `npm run demo`. */
import { messageOf } from '@heimdex/common';
import { runDemo } from './demo.js';
import { readOptions, USAGE } from './options.js';
import { Show } from './show.js';

const INTERRUPTED = 130;

async function main(): Promise<number> {
  const { stdout, stderr, env, argv } = process;
  const stop = new AbortController();
  const interrupt = () => {
    if (stop.signal.aborted) process.exit(INTERRUPTED); // Exit immediately on the second signal; the exit listener cleans up.
    stop.abort(new Error('interrupted'));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const plain = env.NO_COLOR !== undefined && env.NO_COLOR !== '';
  try {
    const options = readOptions(argv.slice(2), env.INIT_CWD ?? process.cwd());
    if (options.help) {
      stdout.write(USAGE);
      return 0;
    }
    const passed = await runDemo(options, { show: new Show(stdout, plain), env, signal: stop.signal });
    if (stop.signal.aborted && !options.stay) return INTERRUPTED;
    return passed ? 0 : 1;
  } catch (error) {
    if (stop.signal.aborted) {
      stderr.write('\nInterrupted; all processes and files are cleaned up.\n');
      return INTERRUPTED;
    }
    const usage = error instanceof TypeError;
    stderr.write(`\n${messageOf(error)}\n${usage ? `\n${USAGE}` : ''}`);
    return usage ? 2 : 1;
  }
}

process.exitCode = await main();
