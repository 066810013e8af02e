/** Runs the real huggingface_hub, where a Python has it, to hold our files to its eyes. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/** Candidates, in order: the one that HEIMDEX_TEST_PYTHON names, then the system's. */
const CANDIDATES = ['HEIMDEX_TEST_PYTHON', 'python3', 'python'];

/** A Python that can import huggingface_hub; undefined when there is none. */
export async function pythonWithHub(): Promise<string | undefined> {
  for (const candidate of CANDIDATES) {
    const command = candidate === 'HEIMDEX_TEST_PYTHON' ? process.env[candidate] : candidate;
    if (command === undefined) continue;
    const probe = await run(command, 'import huggingface_hub').catch(() => undefined);
    if (probe?.code === 0) return command;
  }
  return undefined;
}

/** What a Python script printed, as JSON. Rejects with its error output when it fails. */
export async function runPython(
  command: string,
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<unknown> {
  const { code, stdout, stderr } = await run(command, script, env);
  if (code !== 0) throw new Error(`Python ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(command: string, script: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const child = spawn(command, ['-c', script], { env: { ...process.env, HF_HUB_DISABLE_TELEMETRY: '1', ...env } });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}
