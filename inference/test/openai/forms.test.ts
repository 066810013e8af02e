/** Forms that OpenAI's clients do not send: malformed, too large, too slow, cut off. Against made-up workers. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { Requests, TOKEN } from './requests.js';

const TRANSCRIPTIONS = '/v1/audio/transcriptions';

describe('a form for the OpenAI API', () => {
  let requests: Requests;
  before(async () => {
    requests = await Requests.start();
  });
  after(() => requests?.close());
  afterEach(() => requests.answers());

  const form = (body: string | Uint8Array, type = 'multipart/form-data; boundary=XX') =>
    requests.refused(TRANSCRIPTIONS, body, { 'content-type': type });
  const field = (name: string, value: string) =>
    `--XX\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const file = (content: string, name = 'file') =>
    `--XX\r\ncontent-disposition: form-data; name="${name}"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\n${content}\r\n`;
  const END = '--XX--\r\n';

  describe('a form', () => {
    const cases: readonly (readonly [
      string,
      string,
      { readonly status?: number; readonly param?: string; readonly says: RegExp },
    ])[] = [
      ['without a model', file('x') + END, { param: 'model', says: /required/ }],
      ['without a file', field('model', 'whisper-1') + END, { param: 'file', says: /required/ }],
      [
        'with the file as text',
        field('model', 'whisper-1') + field('file', 'x') + END,
        { param: 'file', says: /filename/ },
      ],
      ['with two files', file('x') + file('y') + END, { param: 'file', says: /one file/ }],
      [
        'with a text as a file',
        file('x') + file('whisper-1', 'model') + END,
        { param: 'model', says: /unexpected file/ },
      ],
      ['with a part without a name', file('x') + field('', 'y') + END, { says: /a part has no name/ }],
      ['with a file without a name', file('x') + file('y', '') + END, { says: /a part has no name/ }],
      [
        'with an infinite number',
        field('model', 'whisper-1') + field('temperature', 'Infinity') + file('x') + END,
        { param: 'temperature', says: /0 to 1, got Infinity/ },
      ],
      ['with a file of another name', file('x', 'sound') + END, { param: 'sound', says: /'file'/ }],
      [
        'with a parameter twice',
        field('prompt', 'a') + field('prompt', 'b') + file('x') + END,
        { param: 'prompt', says: /one value/ },
      ],
      ['with an unknown parameter', field('speed', '2') + file('x') + END, { param: 'speed', says: /unknown/ }],
      [
        'with a name of every object',
        field('constructor', '2') + file('x') + END,
        { param: 'constructor', says: /unknown/ },
      ],
      ['with another one', field('__proto__', '2') + file('x') + END, { param: '__proto__', says: /unknown/ }],
      [
        'with such a truth',
        field('model', 'whisper-1') + field('stream', 'constructor') + file('x') + END,
        { param: 'stream', says: /true or false/ },
      ],
      [
        'with a wrong word',
        field('model', 'whisper-1') + field('response_format', 'xml') + file('x') + END,
        { param: 'response_format', says: /json, text, srt, vtt/ },
      ],
      [
        'with a wrong number',
        field('model', 'whisper-1') + field('temperature', '7') + file('x') + END,
        { param: 'temperature', says: /0 to 1/ },
      ],
      [
        'with a wrong truth',
        field('model', 'whisper-1') + field('stream', 'maybe') + file('x') + END,
        { param: 'stream', says: /true or false/ },
      ],
      [
        'with a wrong language',
        field('model', 'whisper-1') + field('language', 'klingonish') + file('x') + END,
        { param: 'language', says: /a code such as "en", or a name such as "english"/ },
      ],
      [
        'with times that its format has none of',
        field('model', 'whisper-1') + field('timestamp_granularities[]', 'word') + file('x') + END,
        { param: 'timestamp_granularities', says: /verbose_json/ },
      ],
      [
        'streamed as subtitles',
        field('model', 'whisper-1') + field('stream', 'true') + field('response_format', 'srt') + file('x') + END,
        { param: 'response_format', says: /stream/ },
      ],
      [
        'with a huge field',
        field('prompt', 'x'.repeat(200_000)) + file('x') + END,
        { param: 'prompt', says: /65536 bytes/ },
      ],
      [
        'with too many fields',
        Array.from({ length: 100 }, (_, index) => field(`f${index}`, 'x')).join('') + END,
        { says: /more than 64/ },
      ],
      [
        'cut off in the middle of the file',
        `${field('model', 'whisper-1')}${file('xyz').slice(0, -4)}`,
        { says: /multipart/ },
      ],
      ['cut off in a header', `${field('model', 'whisper-1')}--XX\r\ncontent-dispo`, { says: /multipart/ }],
      [
        'whose wrong number has white space behind its boundary',
        `${field('model', 'whisper-1')}--XX \t\r\n${field('temperature', '7').slice(6)}${file('x')}${END}`,
        { param: 'temperature', says: /0 to 1/ },
      ],
      [
        'with an empty line behind a boundary',
        `--XX\r\n\r\n${field('model', 'whisper-1').slice(6)}${file('x')}${END}`,
        { says: /a part cannot be read, expected directly after the line of its boundary: Content-Disposition/ },
      ],
      [
        'with a part of another kind',
        field('model', 'whisper-1') + file('x') + field('language', 'en').replace('form-data', 'attachment') + END,
        { says: /a part cannot be read/ },
      ],
      ['that is empty', '', { says: /multipart|required/ }],
      ['that is no form', 'hello', { says: /multipart|required/ }],
      [
        'for a model that is not served',
        field('model', 'whisper-1') + file('x') + END,
        { status: 404, param: 'model', says: /not served/ },
      ],
    ];
    for (const [what, body, { status = 400, param, says }] of cases) {
      it(`${what} is refused by name`, async () => {
        const reply = await form(body);
        expect(reply.error.message).to.match(says);
        expect(reply.status, reply.error.message).to.equal(status);
        if (param !== undefined) expect(reply.error.param).to.equal(param);
        expect(reply.error.type).to.equal('invalid_request_error');
      });
    }

    it('without a boundary, or of another content type, is refused before it is read', async () => {
      expect((await form(file('x') + END, 'multipart/form-data')).error.message).to.match(/[Bb]oundary/);
      expect((await form('{}', 'application/json')).error.message).to.match(
        /multipart\/form-data, got "application\/json"/,
      );
    });

    it('with a boundary longer than the parser takes is refused', async () => {
      const { status, error } = await form(file('x') + END, `multipart/form-data; boundary=${'z'.repeat(5_000)}`);
      expect([status, error.message]).to.satisfy(
        ([code, said]: [number, string]) => code === 400 && /boundary is too long, expected at most 70/.test(said),
      );
    });

    it('with a text that is not UTF-8 is refused by name', async () => {
      const latin1 = Buffer.from(field('model', 'whisper-1') + field('prompt', 'caf\xe9') + file('x') + END, 'latin1');
      const { status, error } = await form(latin1);
      expect([status, error.param, error.message]).to.deep.equal([
        400,
        'prompt',
        "Invalid 'prompt': it is not valid UTF-8.",
      ]);
    });

    it('has its texts in UTF-8, whatever their characters, or in the charset of their part', async () => {
      const named = (value: string, charset: string) =>
        field('model', value).replace('\r\n\r\n', `\r\ncontent-type: text/plain; charset=${charset}\r\n\r\n`);
      const bodies = [
        [field('model', 'caf\u00e9 \ufffd \ufeff'), 'caf\u00e9 \ufffd \ufeff'],
        [named('caf\u00e9 \ufffd', '"UTF-8"'), 'caf\u00e9 \ufffd'],
        [Buffer.from(named('caf\u00e9', 'ISO-8859-1'), 'latin1'), 'caf\u00e9'],
      ] as const;
      for (const [body, model] of bodies) {
        const whole = Buffer.concat([Buffer.from(body), Buffer.from(file('x') + END)]);
        // A media type has no case; a boundary has.
        const { status, error } = await form(whole, 'Multipart/Form-Data; boundary=XX');
        expect([status, error.param]).to.deep.equal([404, 'model']);
        expect(error.message).to.include(model);
      }
    });

    it('that is compressed is refused with 415', async () => {
      for (const coding of ['gzip', 'br', 'x']) {
        const { status, error } = await requests.refused(TRANSCRIPTIONS, file('x') + END, {
          'content-type': 'multipart/form-data; boundary=XX',
          'content-encoding': coding,
        });
        expect(status).to.equal(415);
        expect(error.message).to.include(`Content-Encoding "${coding}" is not supported here`);
      }
    });

    it('larger than messages may be gets 413, announced or not', async () => {
      const large = file('x'.repeat(2 * MIB)) + END;
      const announced = await form(large);
      expect([announced.status, announced.error.code]).to.deep.equal([413, 'message_too_large']);
      const chunked = http.request(requests.fake.url + TRANSCRIPTIONS, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'multipart/form-data; boundary=XX' },
      });
      chunked.on('error', () => {});
      const answered = once(chunked, 'response');
      chunked.write(large.slice(0, MIB + 100_000));
      const [response] = (await answered) as [http.IncomingMessage];
      expect(response.statusCode).to.equal(413);
      response.resume();
      chunked.destroy();
    });

    it('is not held any more once it is refused', async () => {
      const large = Buffer.from(file('x'.repeat(0.9 * MIB)) + field('speed', '2') + END);
      for (let turn = 0; turn < 10; turn += 1) {
        const replies = await Promise.all(Array.from({ length: 10 }, () => form(large)));
        expect(replies.map(({ status }) => status)).to.deep.equal(Array(10).fill(400));
      }
    });

    it('whose caller goes away is a cancelled call', async () => {
      const { port } = requests.fake.server.address;
      const socket = net.connect(port, '127.0.0.1');
      socket.write(
        `POST ${TRANSCRIPTIONS} HTTP/1.1\r\nhost: x\r\nx-request-id: gone\r\nauthorization: Bearer ${TOKEN}\r\ncontent-type: multipart/form-data; boundary=XX\r\ncontent-length: 5000\r\nexpect: 100-continue\r\n\r\n`,
      );
      // The call is let in.
      await once(socket, 'data');
      socket.write(field('model', 'whisper-1'));
      socket.destroy();
      expect((await requests.logged('gone')).code).to.equal('CANCELLED');
    });
  });

  it('ends a form that arrives too slowly at its deadline', async () => {
    const request = http.request(requests.fake.url + TRANSCRIPTIONS, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'multipart/form-data; boundary=XX',
        'connect-timeout-ms': '100',
      },
    });
    request.on('error', () => {});
    const answered = once(request, 'response');
    request.write(field('model', 'whisper-1'));
    const [response] = (await answered) as [http.IncomingMessage];
    expect(response.statusCode).to.equal(504);
    response.resume();
    request.destroy();
  });
});
