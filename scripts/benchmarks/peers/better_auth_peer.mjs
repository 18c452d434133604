// better-auth with its api-key plugin, as a contender: `auth.api.verifyApiKey`. The protocol is that of serving.py.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import pg from "pg";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
console.log = console.error; // what it logs must not come between the answers

const { dsn, keys: count } = JSON.parse((await lines.next()).value);
const password = readFileSync(dsn.passfile, "utf8").trim().split(":").at(-1);
const pool = new pg.Pool({ host: dsn.host, port: Number(dsn.port), database: dsn.dbname, user: dsn.user, password });
const options = {
  database: pool,
  baseURL: "http://localhost",
  secret: randomBytes(32).toString("hex"),
  telemetry: { enabled: false },
  plugins: [apiKey()],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);

const { internalAdapter } = await auth.$context;
const user = await internalAdapter.createUser({ name: "benchmark", email: "benchmark@example.com" });
const keys = [];
for (let number = 0; number < count; number++) {
  // By default a key may be used ten times a day. Without that limit a verification writes as often as with it.
  const made = await auth.api.createApiKey({ body: { userId: user.id, rateLimitEnabled: false } });
  keys.push(made.key);
}

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
say(`better-auth ${versionOf("better-auth")}, pg ${versionOf("pg")}, Node.js ${process.versions.node}`);
let number = 0;
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const found = [];
  for (let left = Number(line.value); left > 0; left--) {
    const key = keys[number++ % keys.length];
    const start = process.hrtime.bigint();
    const { valid, error } = await auth.api.verifyApiKey({ body: { key } });
    const elapsed = Number(process.hrtime.bigint() - start) / 1_000;
    if (!valid) throw new Error(`a valid key was refused: ${error?.code}`);
    found.push(elapsed);
  }
  say(found);
}
await pool.end();
