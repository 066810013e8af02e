/** Runs the real huggingface_hub, to test the hub and the cache for compatibility. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/**
 * Returns a Python that can import huggingface_hub: HEIMDEX_TEST_PYTHON, else the system's. Undefined if there is none.
 */
export async function pythonWithHub(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const command of [env.HEIMDEX_TEST_PYTHON, 'python3', 'python']) {
    if (command === undefined) continue;
    const probe = await run(command, 'import huggingface_hub', env).catch(() => undefined);
    if (probe?.code === 0) return command;
  }
  return undefined;
}

/** Runs a Python script and parses its JSON output. Rejects with its error output. `env` is its complete environment. */
export async function runPython(command: string, script: string, env: NodeJS.ProcessEnv): Promise<unknown> {
  const { code, stdout, stderr } = await run(command, script, env);
  if (code !== 0) throw new Error(`Python ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(command: string, script: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  const quiet = { HF_HUB_DISABLE_TELEMETRY: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' };
  const child = spawn(command, ['-c', script], { env: { ...quiet, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}
