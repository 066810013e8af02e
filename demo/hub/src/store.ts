/** Repositories of the hub by name and revision. */
import { type Commit, type CommittedFile, type HubRepository, makeCommit } from './repository.js';

export interface StoredRepository {
  readonly name: string;
  readonly gated: boolean;
  readonly private: boolean;
  /** Commits by their 40 digits. */
  readonly commits: Map<string, Commit>;
  /** Commits of branches and tags. */
  readonly revisions: Map<string, string>;
}

export class RepositoryStore {
  readonly #repositories = new Map<string, StoredRepository>();
  readonly #movedTo = new Map<string, string>();
  readonly #blobs = new Map<string, CommittedFile>();

  /** Publishes a commit. In an existing repository it becomes a new commit, and its branch moves. */
  async publish(described: HubRepository): Promise<Commit> {
    const commit = await makeCommit(described);
    const { name } = described;
    const before = this.#repositories.get(name);
    const repository: StoredRepository = {
      name,
      gated: described.gated ?? before?.gated ?? false,
      private: described.private ?? before?.private ?? false,
      commits: before?.commits ?? new Map(),
      revisions: before?.revisions ?? new Map(),
    };
    repository.commits.set(commit.sha, commit);
    repository.revisions.set(described.revision ?? 'main', commit.sha);
    this.#repositories.set(name, repository);
    for (const former of described.formerNames ?? []) this.#movedTo.set(former, name);
    for (const file of commit.files.values()) this.#blobs.set(file.lfsOid ?? file.oid, file);
    return commit;
  }

  get(name: string): StoredRepository | undefined {
    return this.#repositories.get(name);
  }

  /** Returns the current name of a renamed repository. */
  movedTo(name: string): string | undefined {
    return this.#movedTo.get(name);
  }

  names(): string[] {
    return [...this.#repositories.keys()].sort();
  }

  /** Returns a commit by branch, tag or 40 digits. */
  commit(repository: StoredRepository, revision: string): Commit | undefined {
    return repository.commits.get(repository.revisions.get(revision) ?? revision);
  }

  /** Returns a published file by its LFS or git hash. */
  blob(id: string): CommittedFile | undefined {
    return this.#blobs.get(id);
  }
}
