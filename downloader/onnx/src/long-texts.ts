/**
 * Tokens from which a text is run alone. The server batches by it, and the compiled graphs of sentence embedders take
 * attention without a mask from it on. With two different numbers a vector would depend on its batch.
 */
export const LONG_TEXT_TOKENS = 256;
