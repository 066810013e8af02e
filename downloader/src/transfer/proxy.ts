import type { AgentOptions, ClientRequest, Agent as HttpAgent, IncomingHttpHeaders } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { HttpProxyAgent } from 'http-proxy-agent';
import type { HttpsProxyAgent } from 'https-proxy-agent';

/** Returns the proxy for a URL, or undefined for a direct connection. */
export type ProxyFor = (url: URL) => URL | undefined;

/** got's pair of agents. */
export interface AgentPair {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

/** A proxy answered CONNECT with another status than 200, or any request with 407: there is no connection to the host. */
export class ProxyRefusal extends Error {
  constructor(
    readonly proxy: URL,
    readonly status: number,
    /** What the proxy says about logging in to it: the header Proxy-Authenticate. */
    readonly logins = '',
  ) {
    super(`the proxy ${proxy.host} answered ${status}`);
  }
}

/** What the library tells of a proxy's answer to CONNECT. */
interface ProxyAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
}

/** The agents of all connections. */
export interface Agents {
  for(url: URL): Promise<AgentPair>;
  /** Closes the connection of a request that has ended, if a proxy has not completed it. */
  abandon(request: ClientRequest): void;
  /** Closes idle connections. Idempotent. */
  close(): void;
}

/** Returns the agents for each URL: direct ones, or ones for its proxy. The proxy libraries are imported on first use. */
export function proxyAgents(proxyFor: ProxyFor, direct: AgentPair, settings: AgentOptions): Agents {
  const opened = new Map<string, Promise<AgentPair>>();
  const closers: (() => void)[] = [() => direct.http.destroy(), () => direct.https.destroy()];

  const connecting = new WeakMap<ClientRequest, AbortController>();

  /** The libraries would keep a connection that a silent proxy never completes, and with it the process and a place among the connections. */
  function endAbandoned(agent: HttpProxyAgent<string> | HttpsProxyAgent<string>): void {
    const connect = agent.connect.bind(agent) as HttpsProxyAgent<string>['connect'];
    agent.connect = async (request: ClientRequest, options: Parameters<typeof connect>[1]) => {
      const stop = new AbortController();
      connecting.set(request, stop);
      agent.connectOpts = { ...agent.connectOpts, signal: stop.signal };
      try {
        return await connect(request, options);
      } finally {
        connecting.delete(request);
      }
    };
  }

  async function open(proxy: URL): Promise<AgentPair> {
    const [{ HttpProxyAgent }, { HttpsProxyAgent }] = await Promise.all([
      import('http-proxy-agent'),
      import('https-proxy-agent'),
    ]);
    const http = new HttpProxyAgent(proxy, settings);
    const https = new HttpsProxyAgent(proxy, settings);
    endAbandoned(http);
    endAbandoned(https);
    // The library passes such an answer on as that of the host, although no certificate has been checked.
    https.on('proxyConnect', ({ statusCode, headers }: ProxyAnswer, request: ClientRequest) => {
      if (statusCode === 200) return;
      request.destroy(new ProxyRefusal(proxy, statusCode, headers['proxy-authenticate']?.toString()));
    });
    closers.push(
      () => http.destroy(),
      () => https.destroy(),
    );
    return { http, https: https as unknown as HttpsAgent };
  }

  return {
    async for(url) {
      const proxy = proxyFor(url);
      if (proxy === undefined) return direct;
      const known = opened.get(proxy.href);
      if (known !== undefined) return known;
      const pair = open(proxy);
      opened.set(proxy.href, pair);
      return pair;
    },
    abandon(request) {
      connecting.get(request)?.abort();
    },
    close() {
      for (const close of closers.splice(0)) close();
    },
  };
}
