import type { TokenizedText } from '../../tokenizer/index.js';
import type { TextItem, VectorResult } from '../items.js';
import type { Outcome, RunContext } from '../model.js';
import { cancelled, isWaitedFor, textError } from '../outcomes.js';
import { finishVector } from '../vectors.js';
import { packIds, type TextRecipe, tokenizeText } from './preprocess.js';
import type { Tower } from './tower.js';

/** Texts per run of a shared graph. All are padded to one length, so order does not matter. */
const TEXTS_A_RUN = 16;

/** Embeds texts with the text tower. */
export class TextEmbedder {
  constructor(
    private readonly tower: Tower,
    private readonly recipe: TextRecipe,
  ) {}

  get shared(): boolean {
    return this.tower.shared;
  }

  async run(items: readonly TextItem[], context: RunContext): Promise<readonly Outcome<VectorResult>[]> {
    const outcomes: Outcome<VectorResult>[] = [];
    const waiting: { readonly item: TextItem; readonly index: number; readonly text: TokenizedText }[] = [];
    for (const [index, item] of items.entries()) {
      const text = tokenizeText(item.text, this.recipe);
      const error = textError(text, item.truncate, this.recipe);
      if (error === undefined) waiting.push({ item, index, text });
      else outcomes[index] = { ok: false, error };
    }
    while (waiting.length > 0) {
      await context.yieldToEventLoop();
      const batch = waiting.splice(0, this.shared ? TEXTS_A_RUN : 1).filter(({ index }) => isWaitedFor(context, index));
      if (batch.length === 0) continue;
      const texts = batch.map(({ text }) => text);
      const rows = await this.tower.run(packIds(texts, this.recipe), [batch.length, this.recipe.length]);
      batch.forEach(({ item, index, text }, row) => {
        const vector = finishVector(rows[row] as Float32Array, item.normalize);
        const value = { vector, tokenCount: text.ids.length, truncated: text.truncated };
        outcomes[index] = { ok: true, value };
        context.settled?.(index, { ok: true, value });
      });
    }
    return items.map((_, index) => outcomes[index] ?? cancelled());
  }

  /** Runs a text of token 0, which any network has, unlike those of a word; returns the vector's dimensions. */
  async probe(): Promise<number> {
    const [row] = await this.tower.run(new BigInt64Array(this.recipe.length), [1, this.recipe.length]);
    return row?.length ?? 0;
  }

  close(): Promise<void> {
    return this.tower.close();
  }
}
