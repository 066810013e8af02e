/** The part of @npmcli/config that is used here; the package has no types of its own. */
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
    /** Settings in the form that npm's libraries take. */
    readonly flat: Readonly<Record<string, unknown>>;
  }
  export = Config;
}

declare module '@npmcli/config/lib/definitions/index.js' {
  const exported: { readonly definitions: unknown; readonly shorthands: unknown; readonly flatten: unknown };
  export = exported;
}
