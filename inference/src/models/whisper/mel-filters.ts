/**
 * Mel filter bank after Slaney's Auditory Toolbox, as in librosa.filters.mel(norm='slaney', htk=False) and OpenAI's
 * Whisper: linear below 1 kHz, logarithmic above, triangles of equal area.
 */

const LINEAR_HZ_PER_MEL = 200 / 3;
const LOG_FROM_HZ = 1000;
const LOG_FROM_MEL = LOG_FROM_HZ / LINEAR_HZ_PER_MEL;
const LOG_STEP = Math.log(6.4) / 27;

function hzToMel(hz: number): number {
  return hz < LOG_FROM_HZ ? hz / LINEAR_HZ_PER_MEL : LOG_FROM_MEL + Math.log(hz / LOG_FROM_HZ) / LOG_STEP;
}

function melToHz(mel: number): number {
  return mel < LOG_FROM_MEL ? mel * LINEAR_HZ_PER_MEL : LOG_FROM_HZ * Math.exp(LOG_STEP * (mel - LOG_FROM_MEL));
}

/**
 * Returns the weights of `melCount` triangles between 0 and half the sample rate: one row per triangle, one column per
 * frequency k x sampleRateHz / fftSize (fftSize / 2 + 1 columns).
 */
export function melFilters(melCount: number, fftSize: number, sampleRateHz: number): readonly Float64Array[] {
  const highestMel = hzToMel(sampleRateHz / 2);
  const edgesHz = Array.from({ length: melCount + 2 }, (_, i) => melToHz((highestMel * i) / (melCount + 1)));
  return Array.from({ length: melCount }, (_, band) => {
    const [low = 0, centre = 0, high = 0] = edgesHz.slice(band, band + 3);
    return Float64Array.from({ length: fftSize / 2 + 1 }, (__, k) => {
      const hz = (k * sampleRateHz) / fftSize;
      const rising = (hz - low) / (centre - low);
      const falling = (high - hz) / (high - centre);
      return (Math.max(0, Math.min(rising, falling)) * 2) / (high - low);
    });
  });
}
