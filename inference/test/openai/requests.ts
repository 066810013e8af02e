/** A server over made-up workers that wants a token, and requests to its OpenAI API. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import type { LogLine } from '../fixtures/server-process.js';

export const TOKEN = 'a-token-of-enough-characters';
export const MODEL = 'fake/bge-m3';
export const ORIGIN = 'https://example.com';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

export class Requests {
  readonly #dir: string;

  private constructor(
    readonly fake: FakeServer,
    dir: string,
  ) {
    this.#dir = dir;
  }

  static async start(): Promise<Requests> {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-openai-'));
    await writeFile(join(dir, 'tokens'), `${TOKEN}\n`);
    const fake = await startFakeServer({
      AUTH_TOKENS_FILE: join(dir, 'tokens'),
      CORS_ORIGINS: ORIGIN,
      // A quarter is for requests: 90 MiB.
      MEMORY_LIMIT_GB: '0.35',
      MAX_MESSAGE_MIB: '1',
      MAX_BATCH_ITEMS: '4',
    });
    await fake.server.warm;
    return new Requests(fake, dir);
  }

  async close(): Promise<void> {
    await this.fake.close();
    await rm(this.#dir, { recursive: true, force: true });
  }

  send(path: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const own = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers };
    return fetch(this.fake.url + path, { method: 'POST', headers: own, body: body as Uint8Array<ArrayBuffer> });
  }

  /** An answer that is an error in OpenAI's form. */
  async refused(...args: Parameters<Requests['send']>): Promise<Reply> {
    const response = await this.send(...args);
    const { error } = (await response.json()) as Pick<Reply, 'error'>;
    expect(error).to.have.all.keys('message', 'type', 'param', 'code');
    return { status: response.status, headers: response.headers, error };
  }

  /** Whatever came, the server answers. */
  async answers(): Promise<void> {
    const response = await this.send('/v1/embeddings', JSON.stringify({ model: MODEL, input: 'one' }));
    expect(response.status).to.equal(200);
    await response.text();
  }

  /** Waits for a call's line in the log. */
  async logged(call: string): Promise<LogLine> {
    for (;;) {
      const line = this.fake.log.find((candidate) => candidate.call === call);
      if (line !== undefined) return line;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
