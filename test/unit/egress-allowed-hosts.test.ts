import { describe, expect, test } from 'vitest';
import { checkAllowed } from '../../egress/allowed-target.ts';
import { Refusal } from '../../egress/refusal.ts';
import { parseConnectTarget, parseHttpTarget } from '../../egress/target.ts';
import { describeIssues } from '../../protocol/describe-issues.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';

function definitionWith(allowed_hosts: readonly string[]) {
  return EnvironmentDefinition.safeParse({ networking: { type: 'limited', allowed_hosts } });
}

describe('an entry of allowed_hosts', () => {
  test.each([
    ['example.com', 'example.com'],
    ['Example.COM', 'example.com'],
    ['*.example.com', '*.example.com'],
    ['example.com:8443', 'example.com:8443'],
    ['*.example.com:8443', '*.example.com:8443'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['localhost', 'localhost'],
    ['my_host', 'my_host'],
    ['10.201.0.1:8080', '10.201.0.1:8080'],
  ])('%s → %s', (written, kept) => {
    expect(definitionWith([written]).data?.networking).toEqual({
      type: 'limited',
      allowed_hosts: [kept],
    });
  });

  test.each([
    ['', 'must be a host name'],
    ['https://example.com', 'not a URL'],
    ['example.com/path', 'not a URL'],
    ['user@example.com', 'not a URL'],
    ['*', 'a star only for all names below one'],
    ['*.com', 'is too wide'],
    ['a.*.com', 'a star only for all names below one'],
    ['*.*.example.com', 'a star only for all names below one'],
    ['*.10.0.0.1', 'a valid name after *.'],
    ['example.com.', 'must not end in a dot'],
    ['example..com', 'must be a host name'],
    ['-example.com', 'must be a host name'],
    ['bücher.example', 'xn--'],
    ['exam ple.com', 'must be ASCII without spaces'],
    ['example.com\n', 'must be ASCII without spaces'],
    ['example.com:0', 'a port from 1 to 65535'],
    ['example.com:65536', 'a port from 1 to 65535'],
    ['example.com:', 'a port from 1 to 65535'],
    ['[::1]', 'IPv6 addresses cannot be named'],
    ['::1', 'IPv6 addresses cannot be named'],
    ['127.1', 'four decimal numbers'],
    ['0x7f.0.0.1', 'four decimal numbers'],
    ['010.0.0.1', 'four decimal numbers'],
    ['2130706433', 'four decimal numbers'],
  ])('%j → refused, naming the field: %s', (written, words) => {
    const { error } = definitionWith(['example.com', written]);
    expect(error && describeIssues(error, 'environment')).toMatch(
      /^environment\.networking\.allowed_hosts\[1\]: /,
    );
    expect(error && describeIssues(error, 'environment')).toContain(words);
  });

  test('more than a header carries → refused', () => {
    const hosts = Array.from(
      { length: 60 },
      (_, index) => `${'x'.repeat(60)}${index}.example.com:8443`,
    );
    expect(definitionWith(hosts.slice(0, 50)).success).toBe(true);
    const { error } = definitionWith(hosts.flatMap((host) => [host, `*.${host}`]));
    expect(error && describeIssues(error, 'environment')).toMatch(/allowed_hosts: /);
  });
});

describe('what a hand may reach', () => {
  test.each([
    ['example.com:443', ['example.com'], undefined],
    ['example.com:80', ['example.com'], undefined],
    ['EXAMPLE.com:443', ['example.com'], undefined],
    ['example.com.:443', ['example.com'], undefined],
    ['a.example.com:443', ['*.example.com'], undefined],
    ['a.b.example.com:443', ['*.example.com'], undefined],
    ['example.com:8443', ['example.com:8443'], undefined],
    ['example.com:443', ['example.com:8443', 'example.com'], undefined],
    ['10.0.0.1:443', ['10.0.0.1'], undefined],
    ['other.com:443', [], 'host-not-allowed'],
    ['other.com:443', ['example.com'], 'host-not-allowed'],
    ['a.example.com:443', ['example.com'], 'host-not-allowed'],
    ['example.com:443', ['*.example.com'], 'host-not-allowed'],
    ['badexample.com:443', ['*.example.com'], 'host-not-allowed'],
    ['example.com.evil.net:443', ['example.com', '*.example.com'], 'host-not-allowed'],
    ['xn--exmple-cua.com:443', ['example.com'], 'host-not-allowed'],
    ['[::1]:443', ['example.com'], 'host-not-allowed'],
    ['example.com:22', ['example.com'], 'port-not-allowed'],
    ['example.com:443', ['example.com:8443'], 'port-not-allowed'],
    ['10.0.0.1:6443', ['10.0.0.1'], 'port-not-allowed'],
  ])('%s with %j → %s', (target, hosts, reason) => {
    expect(reasonOf(() => checkAllowed(hosts, parseConnectTarget(target)))).toBe(reason);
  });

  test.each([
    'example.com',
    'example.com:',
    'example.com:0',
    'example.com:65536',
    'example.com:443:443',
    'example.com..:443',
    '.example.com:443',
    'user@example.com:443',
    'example.com\0.evil.net:443',
    'example.com\r\nX: y:443',
    'example.com/:443',
    'example.com\\.evil.net:443',
    'exämple.com:443',
    'example%2ecom:443',
    '127.1:443',
    '0x7f000001:443',
    '0177.0.0.1:443',
    '2130706433:443',
    '[::1:443',
    'http://example.com:443',
    '/',
    '',
  ])('CONNECT %j → malformed', (target) => {
    expect(reasonOf(() => parseConnectTarget(target))).toBe('malformed');
  });

  test.each([
    ['http://example.com', { scheme: 'http', host: 'example.com', port: 80, path: '/' }],
    [
      'HTTP://Example.COM:8080/a?b=c',
      { scheme: 'http', host: 'example.com', port: 8080, path: '/a?b=c' },
    ],
    ['http://example.com?b', { scheme: 'http', host: 'example.com', port: 80, path: '/?b' }],
    [
      'http://example.com//evil.net/',
      { scheme: 'http', host: 'example.com', port: 80, path: '//evil.net/' },
    ],
  ])('GET %s → %j', (url, target) => {
    expect(parseHttpTarget(url)).toEqual(target);
  });

  test.each([
    '/',
    '*',
    'https://example.com/',
    'ftp://example.com/',
    'http://',
    'http:///path',
    'http://a@example.com/',
    'http://example.com@evil.net/',
    'http://example.com\\@evil.net/',
    'http://example.com#@evil.net/',
    'http://example.com/#a',
    'http://exämple.com/',
    'http://127.1/',
    'http://0x7f.1/',
    'http://example.com /',
  ])('GET %j → malformed', (url) => {
    expect(reasonOf(() => parseHttpTarget(url))).toBe('malformed');
  });
});

function reasonOf(check: () => unknown): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // All of it is written to the client's head of an answer.
    expect(error.message).toMatch(/^[\x20-\x7e]+$/);
    return error.reason;
  }
}
