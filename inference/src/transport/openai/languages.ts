/** Whisper's languages, by their codes, as OpenAI's API names them. Source: whisper/tokenizer.py. */
const LANGUAGE_NAMES: ReadonlyMap<string, string> = new Map(
  `
    en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese,
    pt portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian,
    id indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay,
    cs czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian, th thai, ur urdu,
    hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak,
    te telugu, fa persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian, kn kannada,
    et estonian, mk macedonian, br breton, eu basque, is icelandic, hy armenian, ne nepali, mn mongolian,
    bs bosnian, kk kazakh, sq albanian, sw swahili, gl galician, mr marathi, pa punjabi, si sinhala,
    km khmer, sn shona, yo yoruba, so somali, af afrikaans, oc occitan, ka georgian, be belarusian,
    tg tajik, sd sindhi, gu gujarati, am amharic, yi yiddish, lo lao, uz uzbek, fo faroese,
    ht haitian creole, ps pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish, my myanmar,
    bo tibetan, tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa,
    ba bashkir, jw javanese, su sundanese, yue cantonese
  `
    .split(',')
    .map((entry) => entry.trim())
    .map((entry) => [entry.slice(0, entry.indexOf(' ')), entry.slice(entry.indexOf(' ') + 1)]),
);

/** Other names and codes of the same languages, of the same source; `jv` is ISO 639-1's Javanese. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['jv', 'jw'],
  ['burmese', 'my'],
  ['valencian', 'ca'],
  ['flemish', 'nl'],
  ['haitian', 'ht'],
  ['letzeburgesch', 'lb'],
  ['pushto', 'ps'],
  ['panjabi', 'pa'],
  ['moldavian', 'ro'],
  ['moldovan', 'ro'],
  ['sinhalese', 'si'],
  ['castilian', 'es'],
  ['mandarin', 'zh'],
]);

/** The name of a code; the code itself where it has none. */
export function languageName(code: string): string {
  return LANGUAGE_NAMES.get(code) ?? code;
}

/** The code of a code or a name, whatever its case; undefined for what is neither. */
export function languageCode(given: string): string | undefined {
  const word = given.trim().toLowerCase();
  // Before codes: "lao" could be one.
  const named = ALIASES.get(word) ?? [...LANGUAGE_NAMES].find(([, name]) => name === word)?.[0];
  return named ?? (/^[a-z]{2,3}$/.test(word) ? word : undefined);
}
