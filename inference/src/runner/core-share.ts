/** Whether the runs of all models need more threads than there are cores. Told to the workers that run, when it changes. */

/** A worker's part in it. */
export interface CoreUser {
  /** A run of the worker begins. */
  begin(): void;
  /** Its run has ended. Idempotent. */
  end(): void;
}

interface User {
  readonly threads: number;
  told: boolean;
  tell(shared: boolean): void;
}

export class CoreShare {
  readonly #cores: number;
  readonly #running = new Set<User>();

  constructor(cores: number) {
    this.#cores = cores;
  }

  /** `tell` is called with true before or during a run that has to share the cores, with false when it need not any more. */
  user(threads: number, tell: (shared: boolean) => void): CoreUser {
    const user: User = { threads, told: false, tell };
    return {
      begin: () => {
        this.#running.add(user);
        this.#update();
      },
      end: () => {
        this.#running.delete(user);
        this.#update();
      },
    };
  }

  #update(): void {
    const threads = [...this.#running].reduce((sum, user) => sum + user.threads, 0);
    const shared = threads > this.#cores;
    for (const user of this.#running) {
      if (user.told === shared) continue;
      user.told = shared;
      user.tell(shared);
    }
  }
}
