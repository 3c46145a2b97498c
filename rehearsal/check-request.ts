import { isObject, type JsonObject } from '../protocol/json-object.ts';
import { checkMessages } from './check-messages.ts';
import { countCacheMarks } from './count-cache-marks.ts';

export interface ApiError {
  readonly status: number;
  readonly type: string;
  readonly message: string;
}

const MAX_CACHE_MARKS = 4;

/** Answers a request with the mistakes that the API would find in it, in its words. */
export function checkRequest(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: unknown,
): ApiError | undefined {
  if (!headers['x-api-key'] && !headers['authorization']) {
    return { status: 401, type: 'authentication_error', message: 'x-api-key header is required' };
  }
  if (!headers['anthropic-version']) return invalid('anthropic-version: header is required');
  if (!isObject(body)) return invalid('The request body is not valid JSON');
  const problem = bodyProblem(body);
  return problem === undefined ? undefined : invalid(problem);
}

function invalid(message: string): ApiError {
  return { status: 400, type: 'invalid_request_error', message };
}

function bodyProblem(body: JsonObject): string | undefined {
  for (const field of ['model', 'max_tokens', 'messages']) {
    if (body[field] === undefined) return `${field}: Field required`;
  }
  if (typeof body['max_tokens'] !== 'number' || body['max_tokens'] < 1) {
    return 'max_tokens: must be greater than or equal to 1';
  }
  return thinkingProblem(body) ?? toolsProblem(body) ?? marksProblem(body) ?? checkMessages(body);
}

function thinkingProblem(body: JsonObject): string | undefined {
  const thinking = body['thinking'];
  if (!isObject(thinking) || thinking['type'] !== 'enabled') return undefined;
  return Number(body['max_tokens']) > Number(thinking['budget_tokens'])
    ? undefined
    : '`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation';
}

function toolsProblem(body: JsonObject): string | undefined {
  const tools = Array.isArray(body['tools']) ? body['tools'].filter(isObject) : [];
  const names = tools.map((tool) => tool['name']);
  return new Set(names).size === names.length ? undefined : 'tools: Tool names must be unique.';
}

function marksProblem(body: JsonObject): string | undefined {
  const marks = countCacheMarks(body);
  if (marks <= MAX_CACHE_MARKS) return undefined;
  return `A maximum of ${MAX_CACHE_MARKS} blocks with cache_control may be provided. Found ${marks}.`;
}
