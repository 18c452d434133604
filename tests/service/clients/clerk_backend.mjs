// @clerk/backend at a server: one JSON call a line on stdin, one JSON answer a line on stdout.
import { createClerkClient } from '@clerk/backend';
import { createInterface } from 'node:readline';

const { url: apiUrl, secret: secretKey } = JSON.parse(process.env.CLIENT);
const pk = `pk_test_${Buffer.from('clerk.example.test$').toString('base64')}`;
const clerk = createClerkClient({ secretKey, apiUrl, publishableKey: pk, telemetry: { disabled: true } });

async function authenticate(token) {
  const request = new Request('https://service.example.test/', { headers: { Authorization: `Bearer ${token}` } });
  const state = await clerk.authenticateRequest(request, { acceptsToken: 'api_key' });
  return { status: state.status, reason: state.reason, auth: state.toAuth() };
}

async function answer({ method, argument }) {
  try {
    const value = await (method === 'authenticate' ? authenticate(argument) : clerk.apiKeys[method](argument));
    return { value };
  } catch (error) {
    const { status, errors, clerkTraceId, retryAfter } = error;
    return { error: { name: error.constructor.name, status, errors, clerkTraceId, retryAfter, message: error.message } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
