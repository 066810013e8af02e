import { readFile } from 'node:fs/promises';
import { expect } from 'chai';

interface ContractFile {
  readonly name: string;
  readonly options?: { readonly javaPackage?: string; readonly javaOuterClassname?: string };
  readonly messageType?: readonly { readonly name: string }[];
  readonly enumType?: readonly { readonly name: string }[];
  readonly service?: readonly { readonly name: string }[];
}

describe('the contract', () => {
  it("can be generated in Java: no file's class has the name of another file's message", async () => {
    const contract = new URL('../../../gen/contract.json', import.meta.url);
    const { file: files }: { file: readonly ContractFile[] } = JSON.parse(await readFile(contract, 'utf8'));
    const names = files.flatMap((file) => {
      const types = [...(file.messageType ?? []), ...(file.enumType ?? []), ...(file.service ?? [])];
      const own = types.map(({ name }) => name);
      return [outerClass(file, own), ...own].map((name) => `${file.options?.javaPackage}.${name}`);
    });
    expect(names.filter((name, index) => names.indexOf(name) !== index)).to.deep.equal([]);
  });
});

/** The class that protoc makes for a file itself. protoc avoids the names of the same file alone. */
function outerClass({ name, options }: ContractFile, own: readonly string[]): string {
  if (options?.javaOuterClassname !== undefined) return options.javaOuterClassname;
  const base = name.replace(/^.*\/|\.proto$/g, '').replace(/(?:^|_)([a-z])/g, (_match, letter) => letter.toUpperCase());
  return own.includes(base) ? `${base}OuterClass` : base;
}
