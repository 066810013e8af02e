// The files that compare.js makes, and what it does to them.

const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50'];
const VP8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '50'];
const RATE_44 = ['-ar', '44100'];
const STEREO = ['-ac', '2'];

const audio = (name, ending, ...settings) => ({ name, ending, settings, video: false });
const video = (name, ending, ...settings) => ({ name, ending, settings, video: true });

/** Name, file extension, options of ffmpeg, and whether there is a video track. */
export const FILES = [
  audio('wav', 'wav', '-c:a', 'pcm_s16le', ...RATE_44, ...STEREO),
  audio('wav-adpcm-ms', 'wav', '-c:a', 'adpcm_ms', '-ar', '22050'),
  audio('wav-adpcm-ima', 'wav', '-c:a', 'adpcm_ima_wav', '-ar', '22050'),
  audio('wav-gsm', 'wav', '-c:a', 'libgsm_ms', '-ar', '8000'),
  audio('wav-mp3', 'wav', '-c:a', 'libmp3lame', ...RATE_44),
  audio('aiff', 'aiff', '-c:a', 'pcm_s16be', ...RATE_44),
  audio('au', 'au', '-c:a', 'pcm_mulaw', '-ar', '8000'),
  audio('caf', 'caf', '-c:a', 'pcm_s16be', ...RATE_44),
  audio('flac', 'flac', '-c:a', 'flac', ...RATE_44),
  audio('mp3-cbr', 'mp3', '-c:a', 'libmp3lame', '-b:a', '64k', ...RATE_44),
  audio('mp3-vbr', 'mp3', '-c:a', 'libmp3lame', '-q:a', '5', ...RATE_44, ...STEREO),
  audio(
    'mp3-bare',
    'mp3',
    '-c:a',
    'libmp3lame',
    '-b:a',
    '48k',
    '-ar',
    '24000',
    '-write_xing',
    '0',
    '-id3v2_version',
    '0',
  ),
  audio('mp2', 'mp2', '-c:a', 'mp2', '-b:a', '128k', ...RATE_44),
  audio('ogg-vorbis', 'ogg', '-c:a', 'libvorbis', '-q:a', '4', ...RATE_44, ...STEREO),
  audio('ogg-opus', 'opus', '-c:a', 'libopus', '-b:a', '32k'),
  audio('ogg-flac', 'oga', '-c:a', 'flac', ...RATE_44),
  audio('adts', 'aac', '-c:a', 'aac', '-b:a', '96k', ...RATE_44),
  audio('m4a', 'm4a', '-c:a', 'aac', '-b:a', '96k', ...RATE_44, '-movflags', '+faststart'),
  audio('m4a-alac', 'm4a', '-c:a', 'alac', ...RATE_44, '-movflags', '+faststart'),
  audio('mka-alac', 'mka', '-c:a', 'alac', ...RATE_44),
  audio('mka-aac', 'mka', '-c:a', 'aac', ...RATE_44),
  audio('mka-mp3', 'mka', '-c:a', 'libmp3lame', ...RATE_44),
  audio('mka-flac', 'mka', '-c:a', 'flac', ...RATE_44),
  audio('mka-vorbis', 'mka', '-c:a', 'libvorbis', ...RATE_44),
  audio('mka-ac3', 'mka', '-c:a', 'ac3', '-ar', '48000'),
  audio('mka-pcm', 'mka', '-c:a', 'pcm_s16le', ...RATE_44),
  video('mp4-first', 'mp4', ...H264, '-c:a', 'aac', '-ar', '48000', ...STEREO, '-movflags', '+faststart'),
  video('mp4-fragments', 'mp4', ...H264, '-c:a', 'aac', '-ar', '48000', '-movflags', 'frag_keyframe+empty_moov'),
  video('mp4-opus', 'mp4', ...H264, '-c:a', 'libopus', '-movflags', '+faststart'),
  video('mp4-mp3', 'mp4', ...H264, '-c:a', 'libmp3lame', ...RATE_44, '-movflags', '+faststart'),
  video('mp4-ac3', 'mp4', ...H264, '-c:a', 'ac3', '-ar', '48000', '-movflags', '+faststart'),
  video('mov-pcm', 'mov', ...H264, '-c:a', 'pcm_s16le', '-ar', '48000', '-movflags', '+faststart'),
  video('mkv-aac', 'mkv', ...H264, '-c:a', 'aac', '-ar', '48000', ...STEREO),
  video('mkv-opus', 'mkv', ...H264, '-c:a', 'libopus'),
  video('mkv-eac3', 'mkv', ...H264, '-c:a', 'eac3', '-ar', '48000'),
  video('webm-opus', 'webm', ...VP8, '-c:a', 'libopus', '-b:a', '32k'),
  video('webm-vorbis', 'webm', ...VP8, '-c:a', 'libvorbis', ...RATE_44),
  video('ts-aac', 'ts', ...H264, '-c:a', 'aac', '-ar', '48000', ...STEREO),
  video('ts-mp3', 'ts', ...H264, '-c:a', 'libmp3lame', ...RATE_44),
  video('ts-ac3', 'ts', ...H264, '-c:a', 'ac3', '-ar', '48000'),
  video('m2ts-aac', 'm2ts', ...H264, '-c:a', 'aac', '-ar', '48000', '-f', 'mpegts', '-mpegts_m2ts_mode', '1'),
];

/** Bytes of a part removed, from one fraction of the file to another. */
const without = (from, to) => (bytes) =>
  Buffer.concat([bytes.subarray(0, Math.floor(from * bytes.length)), bytes.subarray(Math.floor(to * bytes.length))]);

function noise(from, to) {
  return (bytes) => {
    const copy = Buffer.from(bytes);
    let state = 7;
    for (let at = Math.floor(from * bytes.length); at < to * bytes.length; at += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      copy[at] = state >>> 24;
    }
    return copy;
  };
}

/** Cuts by ffmpeg without decoding, and damage to the bytes. */
export const DAMAGES = [
  { name: 'cut-start', before: ['-ss', '7.3'], settings: ['-c', 'copy'] },
  { name: 'cut-end', before: ['-t', '13.7'], settings: ['-c', 'copy'] },
  { name: 'cut-middle', before: ['-ss', '11.2', '-t', '9.1'], settings: ['-c', 'copy'] },
  { name: 'bytes-end', of: without(0.7, 1) },
  { name: 'bytes-start', of: without(0, 0.3) },
  { name: 'bytes-hole', of: without(0.5, 0.6) },
  { name: 'bytes-small-hole', of: without(0.5, 0.503) },
  { name: 'bytes-noise', of: noise(0.5, 0.52) },
];
