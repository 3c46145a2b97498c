import { isObject } from '../protocol/json-object.ts';

/** Anything with a `cache_control`, however deep; inputs of tools are the model's own words. */
export function countCacheMarks(value: unknown): number {
  if (Array.isArray(value))
    return value.reduce((sum: number, item) => sum + countCacheMarks(item), 0);
  if (!isObject(value)) return 0;
  const own = value['cache_control'] ? 1 : 0;
  const parts = Object.entries(value).filter(([key]) => key !== 'input' && key !== 'input_schema');
  return own + parts.reduce((sum, [, part]) => sum + countCacheMarks(part), 0);
}
