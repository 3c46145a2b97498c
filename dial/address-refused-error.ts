/** Nothing was sent: the address is not one that may be dialled. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
  readonly host: string;

  constructor(host: string, why: string) {
    super(`host ${host} ${why}`);
    this.host = host;
  }
}
