/** Names of audio codecs unknown to mediabunny, for the messages of the server and of the client, which must be the same. */

/** MPEG audio unknown to mediabunny, in Matroska and QuickTime. */
const MPEG_AUDIO: ReadonlyMap<string, string> = new Map([
  ['A_MPEG/L1', 'MP1'],
  ['A_MPEG/L2', 'MP2'],
  ['.mp1', 'MP1'],
  ['.mp2', 'MP2'],
  ['.mp3', 'MP3'],
  ['ms\u0000P', 'MP2'],
  ['ms\u0000U', 'MP3'],
]);
/** By sample entry (MP4, QuickTime) or codec id (Matroska). */
const FOREIGN_CODECS: ReadonlyMap<string, string> = new Map([
  ...MPEG_AUDIO,
  ['alac', 'ALAC'],
  ['samr', 'AMR-NB'],
  ['sawb', 'AMR-WB'],
  ['agsm', 'GSM 6.10 of QuickTime'],
  ['ima4', 'IMA ADPCM of QuickTime'],
  ['ms\u0000\u0002', 'Microsoft ADPCM of QuickTime'],
  ['ms\u0000\u0011', 'IMA ADPCM in Microsoft blocks of QuickTime'],
  ['ms\u00001', 'GSM 6.10 in Microsoft blocks of QuickTime'],
  ['msVo', 'Vorbis of QuickTime'],
  ['QDM2', 'QDesign Music'],
  ['Qclp', 'Qualcomm PureVoice'],
  ['MAC3', 'MACE 3:1'],
  ['MAC6', 'MACE 6:1'],
  ['mlpa', 'Dolby TrueHD'],
  ['ac-4', 'AC-4'],
  ['mha1', 'MPEG-H'],
  ['mhm1', 'MPEG-H'],
  ['sevc', 'EVRC'],
  ['sqcp', 'QCELP'],
  ['A_ALAC', 'ALAC'],
  ['A_TRUEHD', 'Dolby TrueHD'],
  ['A_WAVPACK4', 'WavPack'],
  ['A_TTA1', 'True Audio'],
  ['A_QUICKTIME', 'a codec of QuickTime'],
  ['A_MS/ACM', 'a codec of Windows (A_MS/ACM)'],
]);
const PRINTED_CHARACTERS = 24;

/** Names a codec by its sample entry (MP4, QuickTime), codec id (Matroska) or stream type (MPEG-TS). */
export function foreignCodecName(id: string | number | Uint8Array | null): string {
  const known = typeof id === 'string' ? FOREIGN_CODECS.get(id) : undefined;
  if (known !== undefined) return known;
  const text = typeof id === 'string' ? id : typeof id === 'number' ? `stream type ${id}` : '';
  const printed = text.replace(/[^\x20-\x7e]/g, '?').slice(0, PRINTED_CHARACTERS);
  return printed === '' ? 'an unknown codec' : `the codec "${printed}"`;
}

export function isMpegAudio(id: unknown): boolean {
  return typeof id === 'string' && MPEG_AUDIO.has(id);
}
