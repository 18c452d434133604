// @clerk/clerk-js in a browser's place: one JSON call a line on stdin, one JSON answer a line on stdout.
// Clerk's other calls (environment, client, session tokens) are answered here; those on API keys go to the server.
import { createServer, request as ask } from 'node:http';
import { createInterface } from 'node:readline';
import { JSDOM } from 'jsdom';

const { url, token, user, organization, organizationToken } = JSON.parse(process.env.CLIENT);
const seen = [];
let current = token; // of the session, with the organization that is active

const now = Date.now();
const person = {
  object: 'user', id: user, first_name: 'Ada', last_name: 'L', email_addresses: [], phone_numbers: [],
  web3_wallets: [], external_accounts: [], enterprise_accounts: [], passkeys: [], organization_memberships: [],
  public_metadata: {}, unsafe_metadata: {}, created_at: now, updated_at: now,
};
person.organization_memberships = [{
  object: 'organization_membership', id: 'orgmem_1', role: 'org:admin', permissions: [], created_at: now, updated_at: now,
  public_metadata: {}, public_user_data: { user_id: user, identifier: 'ada' },
  organization: { object: 'organization', id: organization, name: 'Acme', slug: 'acme', public_metadata: {}, created_at: now, updated_at: now },
}];
const session = {
  object: 'session', id: 'sess_1', status: 'active', expire_at: now + 864e5, abandon_at: now + 864e5,
  last_active_at: now, last_active_organization_id: null, actor: null, tasks: null,
  user: person, public_user_data: { user_id: user, identifier: 'ada' }, factor_verification_age: [0, 0],
  created_at: now, updated_at: now, last_active_token: { object: 'token', jwt: token },
};
const client = {
  object: 'client', id: 'client_1', sessions: [session], sign_in: null, sign_up: null, last_active_session_id: 'sess_1',
  cookie_expires_at: null, captcha_bypass: false, created_at: now, updated_at: now,
};
const environment = {
  object: 'environment', id: 'env_1', auth_config: { object: 'auth_config', id: 'aconf_1', single_session_mode: true },
  display_config: { object: 'display_config', id: 'd_1', instance_environment_type: 'development' },
  user_settings: { attributes: {}, social: {}, sign_in: {}, sign_up: {}, enterprise_sso: {} },
  organization_settings: { enabled: true }, commerce_settings: {},
  api_keys_settings: { enabled: true, user_api_keys_enabled: true, orgs_api_keys_enabled: true },
};

const front = createServer((incoming, outgoing) => {
  const path = incoming.url.replace(/^\/fapi/, '');
  if (/^\/+(v1\/+)?api_keys/.test(path)) {
    seen.push(`${incoming.method} ${incoming.url.split('?')[0]}`);
    const passed = ask(url + path, { method: incoming.method, headers: incoming.headers }, (answered) => {
      outgoing.writeHead(answered.statusCode, answered.headers);
      answered.pipe(outgoing);
    });
    incoming.pipe(passed);
    return;
  }
  outgoing.setHeader('content-type', 'application/json');
  if (path.includes('/tokens')) outgoing.end(JSON.stringify({ object: 'token', jwt: current }));
  else if (path.includes('/environment')) outgoing.end(JSON.stringify(environment));
  else outgoing.end(JSON.stringify({ response: path.includes('/touch') ? session : client, client }));
});
await new Promise((listening) => front.listen(0, '127.0.0.1', listening));
const origin = `http://127.0.0.1:${front.address().port}`;

const dom = new JSDOM('<!doctype html><html><body></body></html>', { url: origin, pretendToBeVisual: true });
const globals = ['window', 'document', 'location', 'navigator', 'history', 'HTMLElement', 'Node', 'CustomEvent', 'Event', 'localStorage', 'sessionStorage', 'MutationObserver'];
for (const name of globals) {
  Object.defineProperty(globalThis, name, { value: name === 'window' ? dom.window : dom.window[name], configurable: true, writable: true });
}
globalThis.self = dom.window;
// A browser sends its cookies to its own origin; Node's fetch knows none.
const bare = globalThis.fetch;
globalThis.fetch = (target, options = {}) => {
  const headers = new Headers(options.headers);
  const isOwn = new URL(target, origin).origin === origin;
  if (isOwn && options.credentials !== 'omit' && dom.window.document.cookie) headers.set('cookie', dom.window.document.cookie);
  return bare(target, { ...options, headers });
};
Object.assign(dom.window, { fetch: globalThis.fetch, Headers, Request, Response, TextEncoder, TextDecoder });
globalThis.__BUILD_DISABLE_RHC__ = true;

const { Clerk } = await import('@clerk/clerk-js/no-rhc');
const pk = `pk_test_${Buffer.from('clerk.example.test$').toString('base64')}`;
const clerk = new Clerk(pk, { proxyUrl: `${origin}/fapi` });
await clerk.load({ standardBrowser: true, telemetry: false });

const plain = (key) => ({
  id: key.id, name: key.name, subject: key.subject, type: key.type, description: key.description, secret: key.secret,
  scopes: key.scopes, claims: key.claims, revoked: key.revoked, revocationReason: key.revocationReason,
  expired: key.expired, expiration: key.expiration, createdBy: key.createdBy, createdAt: key.createdAt, lastUsedAt: key.lastUsedAt,
});

async function call({ method, argument }) {
  if (method === 'seen') return seen;
  if (method === 'signedIn') return { user: clerk.user?.id, organization: clerk.organization?.id };
  if (method === 'activate') {
    current = argument ? organizationToken : token;
    session.last_active_organization_id = argument;
    session.last_active_token = { object: 'token', jwt: current };
    await clerk.setActive({ organization: argument });
    return clerk.organization?.id ?? null;
  }
  if (method === 'reload') {
    const { data } = await clerk.apiKeys.getAll({ subject: argument.subject });
    const key = data.find((each) => each.id === argument.id);
    return plain(await key.reload());
  }
  const found = await clerk.apiKeys[method](argument);
  return method === 'getAll' ? { data: found.data.map(plain), total_count: found.total_count } : plain(found);
}

async function answer(asked) {
  try {
    return { value: await call(asked) };
  } catch (error) {
    const { status, errors, clerkTraceId } = error;
    return { error: { name: error.constructor.name, status, errors, clerkTraceId, message: error.message } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
process.exit(0);
