import { expect, test } from 'vitest';
import { inputSchemaProblem } from '../../activities/mcp/input-schema.ts';
import { createRedactor } from '../../activities/mcp/redactor.ts';
import { checkTools } from '../../activities/mcp/tool-list.ts';
import { offerMcpTools } from '../../activities/model/context/offered-tools.ts';
import { AgentDefinition } from '../../protocol/agent.ts';
import { McpToolset } from '../../protocol/mcp.ts';

const object = { type: 'object' };

test.each([
  [{ ...object, properties: { a: { type: 'string', enum: ['x'] } }, required: ['a'] }, undefined],
  [{ ...object, $defs: { a: true }, properties: { b: { $ref: '#/$defs/a' } } }, undefined],
  [{ ...object, properties: { a: { anyOf: [{ type: 'null' }, { type: 'string' }] } } }, undefined],
  [undefined, /no object/],
  ['{}', /no object/],
  [[], /no object/],
  [{}, /not of type "object"/],
  [{ type: ['object'] }, /not of type "object"/],
  [{ ...object, oneOf: [object] }, /oneOf at the top/],
  [{ ...object, properties: { a: { type: 'strnig' } } }, /properties\.a/],
  [{ ...object, properties: { a: { pattern: '(' } } }, /no regular expression/],
  [{ ...object, properties: [] }, /no JSON Schema/],
  [{ ...object, required: 'a' }, /required/],
  [{ ...object, properties: { 'a b': {} } }, /a b/],
  [JSON.parse(`${'{"type":"object","items":'.repeat(200)}{}${'}'.repeat(200)}`), /64 deep/],
])('input schema %j → %s', (schema, problem) => {
  const found = inputSchemaProblem(schema);
  if (problem === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(problem);
});

const toolset = (rules: object = {}) =>
  McpToolset.parse({ type: 'mcp_toolset', mcp_server_name: 'srv', ...rules });

test('tools that are not enabled → not looked at, and not in the list', () => {
  const rules = { default_config: { enabled: false }, configs: [{ name: 'b', enabled: true }] };
  const listed = [{ name: 'a' }, { name: 'b', inputSchema: object }, { name: 'c' }];
  const { tools, problem } = checkTools(listed, toolset(rules), createRedactor());
  expect(tools.map(({ name }) => name)).toEqual(['b']);
  expect(problem).toBeUndefined();
});

test('a list of more bytes than a result may have → as many tools as fit', () => {
  const description = 'd'.repeat(60_000);
  const listed = Array.from({ length: 20 }, (_, index) => ({
    name: `t${index}`,
    description,
    inputSchema: object,
  }));
  const { tools, problem } = checkTools(listed, toolset(), createRedactor());
  expect(tools).toHaveLength(13);
  expect(problem).toContain('7 tools after the first 13');
  const [large] = [{ name: 'l', description: 'd'.repeat(70_000), inputSchema: object }];
  expect(checkTools([large], toolset(), createRedactor()).problem).toContain(
    '"l": its description',
  );
});

test('what is no list of tools at all → words, and no tool', () => {
  const listed = [null, 7, 'x', {}, { name: '' }, { name: 5 }, [[]]];
  const { tools, problem } = checkTools(listed, toolset(), createRedactor());
  expect(tools).toEqual([]);
  expect(problem).toContain('tool 1 of the list: it has no name');
});

function offered(
  servers: Readonly<Record<string, readonly string[]>>,
  custom: readonly string[] = [],
) {
  const agent = AgentDefinition.parse({
    mcp_servers: Object.keys(servers).map((name) => ({
      type: 'url',
      name,
      url: `https://example.com/${encodeURIComponent(name)}`,
    })),
    tools: [
      ...custom.map((name) => ({ type: 'custom', name, description: '', input_schema: object })),
      ...Object.keys(servers).map((name) => ({ type: 'mcp_toolset', mcp_server_name: name })),
    ],
  });
  const lists = Object.fromEntries(
    Object.entries(servers).map(([server, names]) => [
      server,
      names.map((name) => ({ name, input_schema: object })),
    ]),
  );
  return offerMcpTools(agent, lists);
}

test.each([
  [{ github: ['create_issue', 'list-issues'] }],
  [{ a: ['b__c'], a__b: ['c'] }],
  [{ 'my server': ['a.b', 'a/b', 'a b', 'a_b'] }],
  [{ ['ü'.repeat(255)]: ['x'.repeat(250), `${'x'.repeat(250)}y`] }],
  [{ github: ['create_issue', 'mcp__github__create_issue'] }],
])('%j → names that the API takes, all different', (servers) => {
  const tools = offered(servers, ['mcp__github__create_issue']);
  const names = tools.map(({ name }) => name);
  for (const name of names) expect(name).toMatch(/^[a-zA-Z0-9_-]{1,128}$/);
  expect(new Set([...names, 'mcp__github__create_issue']).size).toBe(names.length + 1);
  expect(tools.map(({ server, tool }) => [server, tool.name])).toEqual(
    Object.entries(servers).flatMap(([server, all]) => all.map((name) => [server, name])),
  );
});

test('a name stays the same whatever other servers offer', () => {
  const alone = offered({ srv: ['a.b'] }).map(({ name }) => name);
  const among = offered({ other: ['a.b', 'x'], srv: ['a.b'] });
  expect(among.filter(({ server }) => server === 'srv').map(({ name }) => name)).toEqual(alone);
});

test('an agent without a rule → asks for every call; tools of a server that it has no more are gone', () => {
  expect(offered({ srv: ['a'] }).map(({ permission }) => permission)).toEqual(['ask']);
  expect(
    offerMcpTools(AgentDefinition.parse({}), { srv: [{ name: 'a', input_schema: {} }] }),
  ).toEqual([]);
});
