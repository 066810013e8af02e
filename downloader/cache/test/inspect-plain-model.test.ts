import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findModel } from './support/find-model.js';
import { COMMIT, sha256, writeRepository } from './support/make-cache.js';
import { plainModel } from './support/models.js';
import { cacheErrorOf } from './support/rejection.js';
import { useTempDir } from './support/temp-dir.js';

describe('finding a model that is a plain file', () => {
  const cache = useTempDir();
  const NAME = 'face_detection_pocket.onnx';

  it("finds it in the cache's root, named by its sha256", async () => {
    await writeFile(join(cache(), NAME), 'a face detector');
    const found = await findModel(cache(), plainModel());
    expect(found).to.include({ id: 'heimdex/face-pocket', revision: sha256('a face detector'), dir: cache() });
    expect(found.weights).to.deep.equal({ model: join(cache(), NAME) });
  });

  it("finds it in its repository's directory, where Python puts it", async () => {
    await writeRepository(cache(), 'heimdex/face-pocket', { [NAME]: 'a face detector' });
    const found = await findModel(cache(), plainModel());
    expect(found.revision).to.equal(sha256('a face detector'));
    expect(found.weights.model).to.equal(join(cache(), 'models--heimdex--face-pocket', 'snapshots', COMMIT, NAME));
  });

  it('names the root as the inspected path when it is in neither directory', async () => {
    const error = await cacheErrorOf(findModel(cache(), plainModel()));
    expect(error).to.include({
      code: 'FILE_MISSING',
      role: 'faces',
      path: join(cache(), NAME),
      variable: 'FACE_MODEL_NAME',
    });
  });
});
