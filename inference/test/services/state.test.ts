import { expect } from 'chai';
import { ServerState } from '../../src/services/state.js';

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
});
