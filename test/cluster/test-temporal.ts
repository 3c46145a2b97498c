/** The Temporal namespace that workers of tests without a server serve. */
export const TEMPORAL = { name: 'test', id: 'test' } as const;
