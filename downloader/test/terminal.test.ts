import { formatBinaryBytes, formatBytes, formatCount, formatDuration, formatTimeLeft, hostPort } from '@heimdex/common';
import { expect } from 'chai';
import { parseArguments } from '../src/cli/arguments.js';
import { metricsText } from '../src/metrics.js';
import { barLine } from '../src/progress/bar.js';
import { RateMeter } from '../src/progress/meter.js';
import { openScreen } from '../src/progress/screen.js';

describe('words for people', () => {
  it('give sizes three digits', () => {
    expect([0, 999, 1_000, 34_120_000, 999_600, 1_530_000_000].map(formatBytes)).to.deep.equal([
      '0 B',
      '999 B',
      '1 kB',
      '34.1 MB',
      '1 MB',
      '1.53 GB',
    ]);
  });

  it('give times the unit that suits them', () => {
    expect([0, 1023, 1536, 64 * 1024 ** 2, 1000 * 1024 ** 2, 1.5 * 1024 ** 3].map(formatBinaryBytes)).to.deep.equal([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '64 MiB',
      '1000 MiB',
      '1.5 GiB',
    ]);
    expect([340, 12_340, 245_000, 3_720_000].map(formatDuration)).to.deep.equal([
      '0.34 s',
      '12.3 s',
      '4 min 05 s',
      '1 h 02 min',
    ]);
    expect([10, 3_400, 65_000].map(formatTimeLeft)).to.deep.equal(['1 s', '4 s', '1 min 05 s']);
    expect([formatCount(1, 'file'), formatCount(0, 'file')]).to.deep.equal(['1 file', '0 files']);
    expect([hostPort('10.0.0.1', 8001), hostPort('::1', 8001)]).to.deep.equal(['10.0.0.1:8001', '[::1]:8001']);
  });
});

describe('progress', () => {
  it('measures the rate of the last seconds, not of all', () => {
    const meter = new RateMeter(1_000);
    meter.add(5_000_000, 0);
    for (let atMs = 2_000; atMs <= 3_000; atMs += 100) meter.add(1_000, atMs);
    expect(meter.rate(3_000)).to.be.closeTo(11_000, 1_100);
    expect(meter.totalBytes).to.equal(5_011_000);
    expect(new RateMeter().rate(0)).to.equal(undefined);
  });

  it('never draws a line wider than the terminal', () => {
    const state = {
      name: 'onnx/a-very-long-name-of-a-decoder-model.onnx',
      haveBytes: 50,
      sizeBytes: 100,
      suffix: '100 B',
    };
    expect(barLine(state, 120)).to.match(/^…[^ ]+\.onnx ████████████░{12} {2}50% {2}100 B$/);
    for (const columns of [20, 40, 80]) expect(barLine(state, columns).length).to.be.lessThan(columns);
    expect(barLine({ ...state, sizeBytes: 0, haveBytes: 0 }, 120)).to.include('100%');
  });

  it('shows the time left in 80 columns, and the share in 40', () => {
    const state = { name: 'onnx/encoder_model_quantized.onnx', haveBytes: 50, sizeBytes: 100 };
    const suffix = '1.53 GB, 98.1 MB/s, 4 min 05 s left';
    expect(barLine({ ...state, suffix }, 80)).to.match(/^…[^ ]+\.onnx █{8}░{8} {2}50% {2}1\.53 GB, .* left$/);
    expect(barLine({ ...state, suffix }, 40)).to.match(/^…[^ ]+\.onnx ██░░ {2}50% {2}1\.53 GB$/);
  });

  it('assumes 80 columns for a terminal of unknown width', () => {
    for (const columns of [undefined, 0]) {
      expect(openScreen({ isTTY: true, ...(columns === 0 ? { columns } : {}), write: () => true }).columns).to.equal(
        80,
      );
    }
  });

  it('keeps its block below the lines of the log', () => {
    const written: string[] = [];
    const screen = openScreen({ isTTY: true, columns: 80, write: (text: string) => written.push(text) > 0 });
    screen.draw(['one', 'two']);
    screen.write('a log line\n');
    screen.draw([]);
    expect(written).to.deep.equal(['one\ntwo\n', '\u001b[2A\u001b[0Ja log line\none\ntwo\n', '\u001b[2A\u001b[0J']);
  });

  it('draws nothing without a terminal, or on one that knows no sequences', () => {
    for (const [isTTY, term] of [
      [false, 'xterm'],
      [true, 'dumb'],
    ] as const) {
      const written: string[] = [];
      const screen = openScreen({ isTTY, write: (text: string) => written.push(text) > 0 }, { TERM: term });
      screen.draw(['one']);
      screen.write('a log line\n');
      expect(written).to.deep.equal(['a log line\n']);
      expect(screen).to.include({ isTTY, draws: false });
    }
  });
});

describe('the command line', () => {
  const code = (argv: string[]) => {
    try {
      return parseArguments(argv).command;
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('defaults to download', () => {
    expect(parseArguments([])).to.include({ command: 'download', check: false, json: false });
    expect(parseArguments(['--check'])).to.include({ command: 'download', check: true });
  });

  it('refuses options of other commands, naming those it accepts', () => {
    expect(code(['list', '--yes'])).to.match(/list does not accept --yes; accepted options: --json\. See: /);
    expect(code(['download', 'x'])).to.match(/does not accept the argument "x"/);
    expect(code(['export'])).to.match(/export requires a FILE/);
    expect(code(['export', '-'])).to.equal('export');
    expect(code(['export', ''])).to.match(/export requires a FILE/);
    expect(code(['import', ''])).to.match(/import requires a FILE/);
    expect(code(['--metrics-file', ''])).to.match(/--metrics-file requires a FILE/);
  });

  it('suggests the word that a misspelt command or option means', () => {
    expect(code(['downlaod'])).to.match(/; did you mean "download"\? See: heimdex-downloader --help$/);
    expect(code(['list', '--jsn'])).to.equal(
      'Unknown option --jsn; did you mean "--json"? See: heimdex-downloader --help',
    );
    expect(code(['list', '--frobnicate'])).to.equal('Unknown option --frobnicate. See: heimdex-downloader --help');
  });

  it('shows help and version regardless of other arguments', () => {
    expect([code(['prune', '--help']), code(['help']), code(['-V'])]).to.deep.equal(['help', 'help', 'version']);
  });
});

describe('the metrics text', () => {
  it('has a help line, a type line and a value for each figure that is known', () => {
    const text = metricsText({
      command: 'download',
      exitStatus: 5,
      durationMs: 1_500,
      endedAtMs: 1_700_000_000_000,
      figures: { retries: 3 },
    });
    expect(text.split('\n').filter((line) => !line.startsWith('#'))).to.deep.equal([
      'heimdex_downloader_success{command="download"} 0',
      'heimdex_downloader_exit_status{command="download"} 5',
      'heimdex_downloader_duration_seconds{command="download"} 1.5',
      'heimdex_downloader_last_run_timestamp_seconds{command="download"} 1700000000',
      'heimdex_downloader_retries{command="download"} 3',
      '',
    ]);
    expect(text.match(/^# TYPE /gm)).to.have.length(5);
  });
});
