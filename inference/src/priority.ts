/** The classes of calls. What they share, a model above all, bulk work has less of, but never nothing. */
export const PRIORITIES = ['interactive', 'bulk'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Share of each class while both have work. */
export const WEIGHTS = { interactive: 8, bulk: 1 } as const satisfies Record<Priority, number>;

/** Maximum fraction that bulk calls may hold of what a call keeps until it ends: an interactive one would wait as long. */
export const BULK_FRACTION = 0.75;
