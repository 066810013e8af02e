import { expect } from 'chai';
import type { ServedModel } from '../../src/services/engine.js';
import { ServerState } from '../../src/services/state.js';
import { createModelQueue } from '../support/model-queue.js';

describe('ServerState', () => {
  it('is unhealthy, with the reason, while all calls are refused', () => {
    const state = new ServerState(new Map());
    state.filesVerified();
    const seen: string[] = [];
    state.changes.on('change', () => void seen.push(state.report().status));
    state.refuse('no memory for requests');
    expect(state.report()).to.include({ status: 'unhealthy', reason: 'no memory for requests' });
    expect([...state.statuses().values()]).to.not.include(true);
    state.refuse(undefined);
    expect(state.report().status).to.equal('healthy');
    expect(seen).to.deep.equal(['unhealthy', 'healthy']);
  });

  it('says which models still load, and which have lost all of their workers', () => {
    const [text, faces] = [createModelQueue(), createModelQueue()];
    const model = (role: 'text' | 'faces', { modelQueue }: typeof text) =>
      [role, { role, healthName: `the ${role} one`, modelQueue } as unknown as ServedModel] as const;
    const state = new ServerState(new Map([model('text', text), model('faces', faces)]));
    const reasons: string[] = [];
    state.changes.on('change', () => void reasons.push(state.report().reason));
    state.update();
    text.modelQueue.addExecutor(text.executor as never);
    state.update();
    faces.modelQueue.addExecutor(faces.executor as never);
    state.update();
    expect([...state.statuses().values()]).to.not.include(true);
    state.filesVerified();
    expect([...state.statuses().values()]).to.not.include(false);
    faces.modelQueue.removeExecutor(faces.executor as never);
    state.update();
    state.update();
    expect(reasons).to.deep.equal([
      'still loading: the text one, the faces one',
      'still loading: the faces one',
      'still verifying the model files',
      '',
      'restarting: the faces one',
    ]);
    expect(state.report())
      .to.include({ status: 'unhealthy' })
      .and.to.deep.include({ modelsLoaded: ['the text one'] });
    const served = [...state.statuses()].filter(([, isServed]) => isServed).map(([name]) => name.split('/').at(-1));
    expect(served).to.deep.equal(['EmbedText', 'GetServerInfo']);
  });
});
