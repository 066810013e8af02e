import { BinaryReader } from '@bufbuild/protobuf/wire';

/** What is used of a model file of SentencePiece. */
export interface SentencePieceModel {
  /** Pieces with their scores; a piece's number is its id. */
  readonly pieces: readonly (readonly [string, number])[];
  readonly unknownId: number;
  /** Whether an unknown character is the pieces of its bytes, such as `<0xE6>`. */
  readonly byteFallback: boolean;
  /** The map of characters that SentencePiece normalizes with; empty if it does not. */
  readonly charsMap: Uint8Array;
}

/** Field numbers of sentencepiece_model.proto. */
const MODEL = { pieces: 1, trainer: 2, normalizer: 3 };
const PIECE = { text: 1, score: 2 };
const TRAINER = { modelType: 3, byteFallback: 35, unknownId: 40 };
const NORMALIZER = { charsMap: 2 };
const UNIGRAM = 1;

/**
 * Reads a SentencePiece model (spiece.model) of the unigram kind. Throws an error that names the file if it is anything else.
 *
 * Source: Kudo and Richardson, "SentencePiece", 2018; google/sentencepiece, sentencepiece_model.proto.
 */
export function readSentencePiece(bytes: Uint8Array, path: string): SentencePieceModel {
  const pieces: [string, number][] = [];
  const model: Required<Trainer> = { modelType: UNIGRAM, unknownId: 0, byteFallback: false };
  let charsMap: Uint8Array = new Uint8Array();
  try {
    eachField(new BinaryReader(bytes), (field, reader) => {
      if (field === MODEL.pieces) pieces.push(readPiece(reader.bytes()));
      else if (field === MODEL.trainer) Object.assign(model, readTrainer(reader.bytes()));
      else if (field === MODEL.normalizer) charsMap = readCharsMap(reader.bytes());
      else return false;
      return true;
    });
  } catch (cause) {
    throw new Error(`Expected ${path} to be a SentencePiece model.`, { cause });
  }
  if (pieces.length === 0 || model.modelType !== UNIGRAM || model.unknownId < 0 || model.unknownId >= pieces.length)
    throw new Error(`Expected ${path} to be a SentencePiece model of the unigram kind, with its unknown piece.`);
  return { pieces, unknownId: model.unknownId, byteFallback: model.byteFallback, charsMap };
}

/** Calls `read` for each field of a message; it returns whether it has read the value. */
function eachField(reader: BinaryReader, read: (field: number, reader: BinaryReader) => boolean): void {
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!read(field, reader)) reader.skip(wireType, field);
  }
}

function readPiece(bytes: Uint8Array): [string, number] {
  let [text, score] = ['', 0];
  eachField(new BinaryReader(bytes), (field, reader) => {
    if (field === PIECE.text) text = reader.string();
    else if (field === PIECE.score) score = reader.float();
    else return false;
    return true;
  });
  return [text, score];
}

interface Trainer {
  modelType?: number;
  unknownId?: number;
  byteFallback?: boolean;
}

function readTrainer(bytes: Uint8Array): Trainer {
  const trainer: Trainer = {};
  eachField(new BinaryReader(bytes), (field, reader) => {
    if (field === TRAINER.modelType) trainer.modelType = reader.int32();
    else if (field === TRAINER.unknownId) trainer.unknownId = reader.int32();
    else if (field === TRAINER.byteFallback) trainer.byteFallback = reader.bool();
    else return false;
    return true;
  });
  return trainer;
}

function readCharsMap(bytes: Uint8Array): Uint8Array {
  let charsMap: Uint8Array = new Uint8Array();
  eachField(new BinaryReader(bytes), (field, reader) => {
    if (field !== NORMALIZER.charsMap) return false;
    charsMap = reader.bytes().slice();
    return true;
  });
  return charsMap;
}
