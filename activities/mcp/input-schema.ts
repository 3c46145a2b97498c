import { z } from 'zod';

/** Deeper is no schema of a tool, and would cost whoever reads it its stack. */
const MAX_DEPTH = 64;

const TypeName = z.enum(['null', 'boolean', 'object', 'array', 'number', 'string', 'integer']);
const Pattern = z.string().refine(isPattern, 'is no regular expression');
const Count = z.int().min(0);

/** The keywords of JSON Schema 2020-12 whose values the model's API looks at. */
const Schema: z.ZodType = z.lazy(() =>
  z.union([
    z.boolean(),
    z.looseObject({
      type: z.union([TypeName, z.array(TypeName).min(1)]).optional(),
      properties: Schemas.optional(),
      patternProperties: Schemas.optional(),
      $defs: Schemas.optional(),
      definitions: Schemas.optional(),
      required: z.array(z.string()).optional(),
      additionalProperties: Schema.optional(),
      items: Schema.optional(),
      prefixItems: z.array(Schema).min(1).optional(),
      enum: z.array(z.unknown()).optional(),
      anyOf: z.array(Schema).min(1).optional(),
      oneOf: z.array(Schema).min(1).optional(),
      allOf: z.array(Schema).min(1).optional(),
      not: Schema.optional(),
      pattern: Pattern.optional(),
      format: z.string().optional(),
      description: z.string().optional(),
      title: z.string().optional(),
      minimum: z.number().optional(),
      maximum: z.number().optional(),
      minLength: Count.optional(),
      maxLength: Count.optional(),
      minItems: Count.optional(),
      maxItems: Count.optional(),
    }),
  ]),
);
const Schemas = z.record(z.string(), Schema);

const COMBINATORS = ['anyOf', 'oneOf', 'allOf'];
const PROPERTY = /^[a-zA-Z0-9_.-]{1,64}$/;

/**
 * Why the model's API would refuse the input schema of a tool, and with it every request that names
 * the tool; undefined when it would not.
 */
export function inputSchemaProblem(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    return 'its input schema is no object';
  }
  if (isDeep(schema, 0)) return `its input schema is nested more than ${MAX_DEPTH} deep`;
  if (!('type' in schema) || schema.type !== 'object') {
    return 'its input schema is not of type "object"';
  }
  const combinator = COMBINATORS.find((keyword) => keyword in schema);
  if (combinator !== undefined) return `its input schema has ${combinator} at the top`;
  const parsed = Schema.safeParse(schema);
  if (!parsed.success) return `its input schema is no JSON Schema: ${whereOf(parsed.error)}`;
  const properties = 'properties' in schema ? Object.keys(Object(schema.properties)) : [];
  const odd = properties.find((name) => !PROPERTY.test(name));
  if (odd === undefined) return undefined;
  return `its input schema has a property that the API does not take: ${odd.slice(0, 80)}`;
}

function isPattern(value: string): boolean {
  try {
    new RegExp(value, 'u');
    return true;
  } catch {
    return false;
  }
}

function isDeep(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth >= MAX_DEPTH) return true;
  return Object.values(value).some((inner) => isDeep(inner, depth + 1));
}

/** The path to what is wrong: within a union its issues stand one level down. */
function whereOf({ issues }: { readonly issues: readonly z.core.$ZodIssue[] }): string {
  const [issue] = issues;
  if (issue === undefined) return 'it is invalid';
  const nested = issue.code === 'invalid_union' ? issue.errors.at(-1) : undefined;
  const inner = nested?.length ? whereOf({ issues: nested }) : issue.message;
  return issue.path.length === 0 ? inner : `${issue.path.join('.')}: ${inner}`;
}
