/**
 * Health check of the image: exits with 0 if the server is ready, else with 1 and prints the reason. Speaks TLS if TLS_CERT_FILE is set.
 * It calls its own container and sends no token, which /readyz does not need, so the certificate is not checked. If callers must have
 * a certificate (TLS_CLIENT_CA_FILE), it presents the server's, which that CA must have issued for clients as well.
 */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const { HOST = '', PORT, TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE } = process.env;
const secure = Boolean(TLS_CERT_FILE);
const host = /^(0\.0\.0\.0|\[?::\]?)?$/.test(HOST) ? '127.0.0.1' : HOST.replace(/^\[?(.*:.*?)\]?$/, '[$1]');
const address = `${secure ? 'https' : 'http'}://${host}:${PORT || 8001}/readyz`;

function fail(reason) {
  console.error(`${address}: ${reason}`);
  process.exitCode = 1;
}

try {
  const own = TLS_CLIENT_CA_FILE ? { cert: readFileSync(TLS_CERT_FILE), key: readFileSync(TLS_KEY_FILE) } : {};
  const options = { ...own, agent: false, rejectUnauthorized: false, signal: AbortSignal.timeout(4000) };
  const request = (secure ? https : http).get(address, options, async (answer) => {
    try {
      let text = '';
      for await (const part of answer.setEncoding('utf8')) text += part;
      if (answer.statusCode !== 200) fail(`${answer.statusCode} ${text}`);
    } catch (error) {
      fail(error.message);
    }
  });
  request.on('error', (error) => fail(error.message));
} catch (error) {
  fail(error.message);
}
