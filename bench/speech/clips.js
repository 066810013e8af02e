// Short clips to compare decodings: cut from audio files, joined, synthesized by ffmpeg's flite, and modified.
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { audioFiles, joined, RATE, SAID, samplesOf } from './audio-files.js';

const CUT_SECONDS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
export const VOICES = ['slt', 'awb', 'rms', 'kal'];

/** Sentences, each spoken by two voices. */
export const SENTENCES = [
  'Yes, please.',
  'No, thank you.',
  'Turn the lights off.',
  'What time is it now?',
  'Set a timer for ten minutes.',
  'Call my sister at half past four.',
  'Where did you put the keys?',
  'I will be there on Tuesday.',
  'The meeting was moved to Thursday.',
  'Play the next song.',
  'Her cat sleeps under the stairs.',
  'They were not at home.',
  'Add two litres of milk to the list.',
  'The answer is forty two.',
  'It costs nineteen dollars and fifty cents.',
  'His flight leaves at a quarter to nine.',
  'Can you hear me?',
  'There is no more room in here.',
  'We have run out of paper.',
  'The doctor will see you now.',
  'Show me pictures of the sea.',
  'Who wrote that letter?',
  'The bridge was closed because of the storm.',
  'Two men carried the table up the stairs.',
  'The early train leaves at seven fifteen.',
  'She sells fresh bread at the corner of the market.',
  'The river rose three feet during the night.',
  'Our neighbours have a small dog and a large garden.',
  'I should have brought an umbrella with me today.',
  'The museum is free on the first Sunday of every month.',
  'He read the whole book in a single afternoon.',
  'The children were playing in the snow behind the school.',
  'Please leave your shoes at the door before you come in.',
  'A new bakery opened last week just across the street.',
  'The red wine has to be kept in a cool and dark place.',
  'My brother works for a company that makes wooden toys.',
  'You can pay by card or with cash at the front desk.',
  'The old church on the hill was built in sixteen hundred and three.',
  'If it rains tomorrow we will stay at home and play cards.',
  'Nobody knew why the clock in the tower had stopped.',
  'The teacher asked them to write a story about the moon.',
  'They walked along the beach until the sun went down.',
  'Mix the flour with the eggs, and then add the sugar slowly.',
  'The bus to the airport leaves every twenty minutes from here.',
  'I have never seen so many birds in one tree.',
  'Her grandfather was a sailor who had been around the world twice.',
  'The wind blew the papers off the desk and out of the window.',
  'We ordered three coffees, one tea, and a piece of apple cake.',
  'After the concert we went to a restaurant near the theatre.',
  'The thief was caught because he left his phone in the car.',
  'Write your name and your address at the top of the page.',
  'It took the firemen more than an hour to put out the fire.',
  'The price of oil has fallen for the third week in a row.',
  'A good carpenter measures twice and cuts only once, they say.',
  'Scientists have found water below the surface of the planet.',
  'The whole village came to see the horses run on Saturday.',
  'Open the window, let some fresh air in, and then sit down here.',
  'The mayor promised to repair the roads before winter comes.',
  'Their plan was simple, but nobody had tried it before.',
  'When the music stopped, everybody in the hall began to clap.',
];

/** Returns deterministic pseudo-random numbers in [0, 1). */
export function dice(seed) {
  let state = seed;
  const next = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  for (let i = 0; i < 10; i += 1) next();
  return next;
}

/** Modifications of a clip, by name. */
const CHANGES = {
  quiet: (samples) => samples.map((sample) => sample * 0.1),
  noise20: (samples, random) => noisy(samples, 20, random),
  noise10: (samples, random) => noisy(samples, 10, random),
  slow: (samples) => resampled(samples, 0.9),
  fast: (samples) => resampled(samples, 1.1),
};

/** Adds white noise at the given signal-to-noise ratio. */
export function noisy(samples, decibels, random = dice(11)) {
  const power = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  const amplitude = power * 10 ** (-decibels / 20);
  const gauss = () => Math.sqrt(-2 * Math.log(random() || 1e-9)) * Math.cos(2 * Math.PI * random());
  return samples.map((sample) => sample + amplitude * gauss());
}

function resampled(samples, speed) {
  return Float32Array.from({ length: Math.floor((samples.length - 1) / speed) }, (_, i) => {
    const at = Math.floor(i * speed);
    const part = i * speed - at;
    return samples[at] * (1 - part) + samples[at + 1] * part;
  });
}

/** Returns quiet positions, in samples. */
function pausesOf(samples) {
  const size = RATE / 20;
  const levels = Array.from({ length: Math.floor(samples.length / size) }, (_, frame) =>
    samples.subarray(frame * size, (frame + 1) * size).reduce((sum, sample) => sum + sample * sample, 0),
  );
  const quiet = [...levels].sort((one, other) => one - other)[Math.floor(levels.length * 0.2)];
  return levels.flatMap((level, frame) => (level <= quiet ? [(frame + 0.5) * size] : []));
}

export function spoken(ffmpeg, text, voice) {
  const filter = `flite=text='${text.replace(/[',]/g, (sign) => `\\${sign}`)}':voice=${voice}`;
  const args = ['-v', 'error', '-f', 'lavfi', '-i', filter, '-ac', '1', '-ar', `${RATE}`, '-f', 'f32le', '-'];
  const made = spawnSync(ffmpeg, args, { maxBuffer: 2 ** 26 });
  if (made.status !== 0) throw new Error(`ffmpeg could not synthesize speech: ${made.error?.message ?? made.stderr}`);
  return new Float32Array(new Uint8Array(made.stdout).buffer);
}

/** Returns all clips in mixed order: name, samples, and the text if the clip contains all of it. */
export async function shortClips(shared, ffmpeg) {
  const random = dice(7);
  const clips = [];
  const add = (name, samples, said) => clips.push({ name, samples, said });
  const changed = (names) => {
    for (const { name, samples, said } of [...clips]) {
      for (const change of names(name)) add(`${name}+${change}`, CHANGES[change](samples, random), said);
    }
  };
  const files = audioFiles(shared);
  const whole = await Promise.all(files.map(samplesOf));
  files.forEach((file, index) => {
    add(basename(file).replace(/.*64kb-|\..*/g, ''), whole[index], SAID[index]);
  });
  changed(() => Object.keys(CHANGES));
  const one = () => [Object.keys(CHANGES)[Math.floor(random() * 5)]];
  const plainCount = clips.length;
  const names = clips.slice(0, files.length).map(({ name }) => name);
  for (const [index, samples] of whole.entries()) {
    const seconds = samples.length / RATE;
    for (const length of CUT_SECONDS.filter((cut) => cut < seconds - 0.5)) {
      for (let turn = 0; turn < (length < 4 ? 2 : 1); turn += 1) {
        const from = Math.floor(random() * (samples.length - length * RATE));
        add(`${names[index]}@${(from / RATE).toFixed(2)}~${length}`, samples.slice(from, from + length * RATE));
      }
    }
    const pauses = pausesOf(samples);
    for (let turn = 0; turn < 5; turn += 1) {
      const [from, to] = [0, 0].map(() => pauses[Math.floor(random() * pauses.length)]).sort((a, b) => a - b);
      if (to - from > RATE)
        add(`${names[index]}|${(from / RATE).toFixed(2)}-${(to / RATE).toFixed(2)}`, samples.slice(from, to));
    }
    for (let turn = 0; turn < 2; turn += 1) {
      const other = Math.floor(random() * whole.length);
      const both = joined([samples, new Float32Array(0.4 * RATE), whole[other]]);
      if (both.length < 13 * RATE) add(`${names[index]}&${names[other]}`, both, `${SAID[index]} ${SAID[other]}`);
    }
  }
  for (const [index, sentence] of SENTENCES.entries()) {
    for (const turn of [0, 1]) {
      const voice = VOICES[(index + turn * (1 + (index % 3))) % VOICES.length];
      add(`${voice}:${sentence.slice(0, 24)}${index}`, spoken(ffmpeg, sentence, voice), sentence);
    }
  }
  const more = clips.slice(plainCount);
  for (const { name, samples, said } of more) {
    if (random() < 0.4) for (const change of one()) add(`${name}+${change}`, CHANGES[change](samples, random), said);
  }
  const unique = [...new Map(clips.map((clip) => [clip.name, clip])).values()];
  return unique
    .map((clip) => ({ clip, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ clip }) => clip);
}
