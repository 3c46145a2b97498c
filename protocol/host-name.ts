const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const OCTET = /^(0|[1-9]\d{0,2})$/;
/** Programs take a name that ends so for an address, each in its own way: `127.1`, `0x7f.1`, `2130706433`. */
const NUMBER = /^(\d+|0x[0-9a-f]*)$/;
const MAX_LENGTH = 253;

/** A name of DNS in the one form in which names are compared: lower case, no dot at the end. */
export function isHostName(text: string): boolean {
  const labels = text.split('.');
  if (text.length > MAX_LENGTH || !labels.every((label) => LABEL.test(label))) return false;
  return !NUMBER.test(labels.at(-1) ?? '');
}

/** Four decimal numbers: the one form in which addresses of version 4 are compared. */
export function isIpv4Address(text: string): boolean {
  const octets = text.split('.');
  return octets.length === 4 && octets.every((octet) => OCTET.test(octet) && Number(octet) < 256);
}
