// The provider as a process of a test's, on this machine only.
//
//     node server.mjs FOLDER
//
// FOLDER is where the package oidc-provider is installed. The first line of standard input says in
// JSON what the provider is to be like, and is answered by a line that says where it listens: for
// clients, and for the test's commands. It ends when standard input does, so that it never outlives
// who started it.

import * as http from 'node:http';
import * as https from 'node:https';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

import { makeProvider, memory, nonceSecret, signingKeys } from './provider.mjs';

// The package has its say on standard output, where the answer alone belongs.
console.info = console.error;
console.log = console.error;

const CLIENT = {
  grant_types: ['password', 'refresh_token', 'client_credentials'],
  redirect_uris: [],
  response_types: [],
};

const modules = await load(process.argv[2]);
const adapter = memory();
const requests = [];
let options;
let keys = signingKeys();
let nonces = nonceSecret();
let addresses;
let provider;
let handle;
// Open, unless a test holds the requests to a path.
let gate = {};

async function load(folder) {
  const at = (file) => pathToFileURL(path.join(folder, 'node_modules/oidc-provider/lib', file));
  const [{ Provider, errors }, grants, { issueIdToken }] = await Promise.all([
    import(at('index.js')),
    import(at('helpers/grants.js')),
    import(at('helpers/grant_common.js')),
  ]);
  return { Provider, errors, grants, issueIdToken };
}

/** Starts with what the first line says. */
async function start() {
  const answer = (request, response) => handle(request, response);
  addresses = { http: await listen(http.createServer(answer)) };
  if (options.tls) {
    const { certificate, key, client_authorities: ca } = options.tls;
    const server = https.createServer(
      // Whom a certificate names, and who vouches for it, is the provider's to judge.
      { cert: certificate, key, ca, requestCert: true, rejectUnauthorized: false },
      answer,
    );
    addresses.https = await listen(server);
  }
  renew();
  for (const client of options.clients ?? []) await register(client);
  addresses.commands = await listen(http.createServer(obey));
}

async function listen(server) {
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return `127.0.0.1:${server.address().port}`;
}

/** The provider with the keys and nonces of now. */
function renew() {
  provider = makeProvider(modules, {
    issuer: `http://${addresses.http}`,
    https: addresses.https && `https://${addresses.https}`,
    adapter,
    keys,
    nonces,
    options,
  });
  provider.use(record);
  handle = provider.callback();
}

/** Keeps what was asked, except for the test's own calls: names and methods, no secrets. */
async function record(ctx, next) {
  if (ctx.get('test-own')) return next();
  const request = { method: ctx.method, path: ctx.path };
  requests.push(request);
  if (ctx.path === gate.path) await gate.opened;
  await next();
  const params = ctx.oidc?.params ?? {};
  Object.assign(request, {
    status: ctx.status,
    grant: params.grant_type,
    client: ctx.oidc?.entities.Client?.clientId,
    authentication: authentication(ctx, params),
    parameters: Object.keys(params).filter((name) => params[name] !== undefined),
    accept: ctx.get('accept'),
    dpop: ctx.get('dpop') !== '',
    certificate: ctx.req.socket.getPeerX509Certificate?.() !== undefined,
  });
}

/** How the client authenticated, whatever it is registered for. */
function authentication(ctx, params) {
  if (/^basic /i.test(ctx.get('authorization'))) return 'client_secret_basic';
  if (params.client_secret !== undefined) return 'client_secret_post';
  if (params.client_assertion !== undefined) {
    const [header] = params.client_assertion.split('.');
    const { alg } = JSON.parse(Buffer.from(header, 'base64url'));
    return alg.startsWith('HS') ? 'client_secret_jwt' : 'private_key_jwt';
  }
  const method = ctx.oidc?.entities.Client?.clientAuthMethod;
  return method?.includes('tls_client_auth') ? method : 'none';
}

/** Registers a client by its metadata (RFC 7591 §2), or changes it. */
async function register(metadata) {
  const { client_id: id } = metadata;
  await adapter('Client').upsert(id, { ...CLIENT, ...metadata });
  // Metadata is judged when it is used; better at once.
  await provider.Client.find(id);
}

const commands = {
  register,
  requests: () => requests,
  rotate_keys: ({ withdraw }) => {
    keys = withdraw ? signingKeys() : [...signingKeys(), ...keys];
    renew();
  },
  renew_nonces: () => {
    nonces = nonceSecret();
    renew();
  },
  hold: ({ path: held }) => {
    gate = { path: held };
    gate.opened = new Promise((resolve) => {
      gate.open = resolve;
    });
  },
  release: () => gate.open?.(),
};

/** A command is a path, with what it needs as JSON in the body. */
async function obey(request, response) {
  try {
    const body = await text(request);
    const result = await commands[request.url.slice(1)](JSON.parse(body || '{}'));
    response.end(JSON.stringify(result ?? null));
  } catch (error) {
    response.statusCode = 400;
    response.end(`${error.error_description ?? error.message}\n`);
  }
}

const input = readline.createInterface({ input: process.stdin });
input.once('close', () => process.exit());
input.once('line', async (line) => {
  options = JSON.parse(line);
  await start();
  process.stdout.write(`${JSON.stringify(addresses)}\n`);
});
