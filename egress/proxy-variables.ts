/** Not through the proxy: what a hand serves to itself. */
const OWN = 'localhost,127.0.0.1,::1';

/** Variables by which the usual programs find their proxy: some read the one spelling, some the other. */
export function proxyVariables(url: string): Readonly<Record<string, string>> {
  return {
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    NO_PROXY: OWN,
    http_proxy: url,
    https_proxy: url,
    no_proxy: OWN,
    // Node's own clients read them only then.
    NODE_USE_ENV_PROXY: '1',
  };
}
