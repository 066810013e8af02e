/** Types of the part of @npmcli/config used here; the package has none. */
declare module '@npmcli/config' {
  interface ConfigOptions {
    readonly npmPath: string;
    readonly definitions: unknown;
    readonly shorthands: unknown;
    readonly flatten: unknown;
    readonly argv: readonly string[];
    readonly env: NodeJS.ProcessEnv;
    readonly cwd: string;
    readonly warn: boolean;
  }
  class Config {
    constructor(options: ConfigOptions);
    /** Reads the settings of the project, the user and the machine. */
    load(): Promise<void>;
    /** Settings in the form that npm's libraries accept. */
    readonly flat: Readonly<Record<string, unknown>>;
  }
  export = Config;
}

declare module '@npmcli/config/lib/definitions/index.js' {
  const exported: { readonly definitions: unknown; readonly shorthands: unknown; readonly flatten: unknown };
  export = exported;
}
