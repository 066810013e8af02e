/** Runs the real huggingface_hub, to test the hub and the cache for compatibility. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

/**
 * Runs the scripts that it reads, in one process: most of a script's time is the import of what it imports. huggingface_hub alone is imported
 * again by each, as it reads the environment when it is imported.
 */
const RUNNER = `
import contextlib, gc, io, json, os, sys, traceback
for line in sys.stdin:
    request = json.loads(line)
    os.environ.clear()
    os.environ.update(request["env"])
    printed, error = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(printed):
            exec(request["script"], {"__name__": "__main__"})
    except BaseException:
        error = traceback.format_exc()
    for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
        del sys.modules[name]
    gc.collect()  # Closes its connections.
    print(json.dumps({"printed": printed.getvalue(), "error": error}), flush=True)
`;

interface Answer {
  readonly printed: string;
  /** The traceback of a script that failed. */
  readonly error: string | null;
}

type Runner = (script: string, env: NodeJS.ProcessEnv) => Promise<Answer>;

const runners = new Map<string, Runner>();

/**
 * Returns a Python that can import huggingface_hub: HEIMDEX_TEST_PYTHON, else the system's. Undefined if there is none.
 */
export async function pythonWithHub(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return [env.HEIMDEX_TEST_PYTHON, 'python3', 'python'].find(
    (command) => command !== undefined && spawnSync(command, ['-c', 'import huggingface_hub'], { env }).status === 0,
  );
}

/**
 * Runs a Python script and parses its JSON output. Rejects with its traceback, and with ENOENT where there is no such command. `env` is its complete environment. Scripts of one `command`
 * run one after the other in a process that ends with this one.
 */
export async function runPython(command: string, script: string, env: NodeJS.ProcessEnv): Promise<unknown> {
  const run = runners.get(command) ?? startRunner(command);
  runners.set(command, run);
  const quiet = { HF_HUB_DISABLE_TELEMETRY: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' };
  const { printed, error } = await run(script, { ...quiet, ...env });
  if (error !== null) throw new Error(`Python failed: ${error}`);
  return JSON.parse(printed);
}

function startRunner(command: string): Runner {
  const child = spawn(command, ['-c', RUNNER], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.unref();
  for (const pipe of [child.stdin, child.stdout] as unknown as Socket[]) pipe.unref();
  const started = once(child, 'spawn');
  // That it has ended shows where its answer is missing.
  child.stdin.on('error', () => {});
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();
  return (script, env) => {
    const answer = last.then(async () => {
      await started;
      child.stdin.write(`${JSON.stringify({ script, env })}\n`);
      const { done, value } = await answers.next();
      if (done) {
        runners.delete(command);
        throw new Error(`${command} ended`);
      }
      return JSON.parse(value) as Answer;
    });
    last = answer.catch(() => undefined);
    return answer;
  };
}
