import type { AgentOptions, ClientRequest, Agent as HttpAgent, IncomingHttpHeaders } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

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

/** Returns the agents for each URL: direct ones, or ones for its proxy. The proxy libraries are imported on first use. */
export function proxyAgents(
  proxyFor: ProxyFor,
  direct: AgentPair,
  settings: AgentOptions,
): { for(url: URL): Promise<AgentPair>; close(): void } {
  const opened = new Map<string, Promise<AgentPair>>();
  const closers: (() => void)[] = [() => direct.http.destroy(), () => direct.https.destroy()];

  async function open(proxy: URL): Promise<AgentPair> {
    const [{ HttpProxyAgent }, { HttpsProxyAgent }] = await Promise.all([
      import('http-proxy-agent'),
      import('https-proxy-agent'),
    ]);
    const http = new HttpProxyAgent(proxy, settings);
    const https = new HttpsProxyAgent(proxy, settings);
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
    close() {
      for (const close of closers.splice(0)) close();
    },
  };
}
