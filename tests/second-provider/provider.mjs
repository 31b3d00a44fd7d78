// What the provider is like: its features, clients, keys, and a password grant that spares a browser.

import * as crypto from 'node:crypto';

// The one user. Keycloak's realms in these tests have the same one.
const USER = 'john';
const PASSWORD = 'doe';

// What a client gets JWTs for, if it is registered with `access_token_format: 'jwt'`. A request can
// name any other resource (RFC 8707), and gets a JWT for it, too.
const RESOURCE = 'https://resource.test/api';

const DAY = 24 * 60 * 60;
const SCOPES = ['openid', 'offline_access', 'profile', 'email'];
const RESOURCE_SCOPES = [...SCOPES, 'read', 'write'].join(' ');
const SIGNATURES = ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'];

const CLAIMS = {
  sub: USER,
  name: 'John Doe',
  preferred_username: USER,
  email: 'john@example.test',
  email_verified: true,
};

/** Key pairs to sign with: of the keys that fit an algorithm, the first one signs. */
export function signingKeys() {
  // Asked for as JWKs at once: to export a key that was just made can lock Node.js 20 up for ever.
  const jwk = { privateKeyEncoding: { format: 'jwk' }, publicKeyEncoding: { format: 'jwk' } };
  const pairs = [
    crypto.generateKeyPairSync('rsa', { modulusLength: 2048, ...jwk }),
    crypto.generateKeyPairSync('ec', { namedCurve: 'P-256', ...jwk }),
    crypto.generateKeyPairSync('ed25519', jwk),
  ];
  return pairs.map(({ privateKey }) => ({
    ...privateKey,
    kid: crypto.randomUUID(),
    use: 'sig',
  }));
}

/** What nonces are made from. */
export function nonceSecret() {
  return crypto.randomBytes(32);
}

/** What is kept, for as long as the process runs: an adapter that outlives a change of keys. */
export function memory() {
  const kept = new Map();
  return (model) => ({
    async upsert(id, payload) {
      kept.set(`${model}:${id}`, payload);
    },
    async find(id) {
      return kept.get(`${model}:${id}`);
    },
    async destroy(id) {
      kept.delete(`${model}:${id}`);
    },
    async consume(id) {
      kept.get(`${model}:${id}`).consumed = Math.floor(Date.now() / 1000);
    },
    async revokeByGrantId(grantId) {
      for (const [key, payload] of kept) {
        if (key.startsWith(`${model}:`) && payload.grantId === grantId) kept.delete(key);
      }
    },
    // Of browser sessions and devices, of which there are none.
    async findByUid() {},
    async findByUserCode() {},
  });
}

/**
 * A provider. `modules` is what the package exports, its helpers for grants included; `options` is
 * what the test asked for; `https` is the address of the listener that asks for certificates; `nonces`
 * is what those for DPoP proofs are made from.
 */
export function makeProvider(modules, { issuer, https, adapter, keys, nonces, options }) {
  const lifespan = options.access_token_lifespan ?? 300;
  const provider = new modules.Provider(issuer, {
    adapter,
    jwks: { keys },
    clientAuthMethods: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'tls_client_auth',
      'self_signed_tls_client_auth',
      'none',
    ],
    enabledJWA: {
      clientAuthSigningAlgValues: ['HS256', ...SIGNATURES],
      dPoPSigningAlgValues: SIGNATURES,
    },
    scopes: SCOPES,
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
    },
    discovery: https ? { mtls_endpoint_aliases: aliases(https) } : {},
    extraClientMetadata: { properties: ['access_token_format'] },
    extraTokenClaims: () => options.access_token_claims,
    features: features(options, lifespan, nonces),
    rotateRefreshToken: options.rotation ?? true,
    ttl: {
      AccessToken: lifespan,
      ClientCredentials: lifespan,
      IdToken: lifespan,
      Interaction: 600,
      RefreshToken: options.refresh_token_lifespan ?? DAY,
      Grant: DAY,
      Session: DAY,
    },
    findAccount: (_, id) => (id === USER ? account() : undefined),
    // By itself it fetches a client's keys from no address of this machine.
    fetch: (url, { dispatcher: _, ...rest }) => globalThis.fetch(url, rest),
  });
  provider.registerGrantType(
    'password',
    (ctx) => passwordGrant(modules, provider, ctx),
    ['username', 'password', 'scope', 'resource'],
  );
  provider.on('server_error', (_, error) => console.error(error));
  return provider;
}

function features(options, lifespan, nonces) {
  return {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: {
      enabled: true,
      ...(options.dpop_nonces && {
        nonceSecret: nonces,
        requireNonce: () => true,
      }),
    },
    introspection: {
      enabled: true,
      allowedPolicy: (_, client) => client.clientAuthMethod !== 'none',
    },
    jwtIntrospection: { enabled: true },
    jwtUserinfo: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      getCertificate,
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches,
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_, client, oneOf) => oneOf
        ?? (client.access_token_format === 'jwt' ? RESOURCE : undefined),
      // A refresh names no resource: it is the one of the first grant.
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        audience: resource,
        scope: RESOURCE_SCOPES,
        accessTokenFormat: 'jwt',
        accessTokenTTL: lifespan,
        jwt: { sign: { alg: options.access_token_alg ?? 'RS256' } },
      }),
    },
    revocation: { enabled: true },
    userinfo: { enabled: true },
  };
}

/** RFC 8705 §5. */
function aliases(https) {
  return {
    token_endpoint: `${https}/token`,
    introspection_endpoint: `${https}/token/introspection`,
    revocation_endpoint: `${https}/token/revocation`,
    userinfo_endpoint: `${https}/me`,
  };
}

function account() {
  return { accountId: USER, claims: () => CLAIMS };
}

function getCertificate(ctx) {
  // A connection without TLS has no such method, one without a certificate nothing to give.
  return ctx.req.socket.getPeerX509Certificate?.();
}

function certificateSubjectMatches(ctx, property, expected) {
  const certificate = getCertificate(ctx);
  if (property === 'tls_client_auth_subject_dn') {
    // One line for each part here, in the certificate's order; RFC 4514 §2.1 has it the other way.
    const parts = certificate.subject.split('\n').reverse();
    return parts.join(',') === expected.split(/\s*,\s*/).join(',');
  }
  const kinds = {
    tls_client_auth_san_dns: 'DNS',
    tls_client_auth_san_uri: 'URI',
    tls_client_auth_san_ip: 'IP Address',
    tls_client_auth_san_email: 'email',
  };
  const names = certificate.subjectAltName?.split(', ') ?? [];
  return names.includes(`${kinds[property]}:${expected}`);
}

/** RFC 6749 §4.3, which the package leaves to its users; bound to a key or certificate as others. */
async function passwordGrant({ errors, grants, issueIdToken }, provider, ctx) {
  const { client, params } = ctx.oidc;
  const proof = await grants.validateDpop(provider, ctx);
  await grants.checkDpopReplay(provider, ctx, proof, client.clientId, errors.InvalidGrant);
  grants.checkDpopRequired(provider, ctx, proof);
  const certificate = grants.checkMtlsCert(provider, ctx);
  const [resource] = await grants.resolveRequestedResources(provider, ctx);
  const scopes = grants.validateClientScope(provider, ctx);
  if (params.username !== USER || params.password !== PASSWORD) {
    throw new errors.InvalidGrant('wrong user name or password');
  }
  ctx.oidc.entity('Account', account());

  const grant = new provider.Grant({ accountId: USER, clientId: client.clientId });
  grant.addOIDCScope(scopes);
  if (resource) grant.addResourceScope(resource.identifier(), resource.scope);
  const shared = {
    accountId: USER,
    client,
    expiresWithSession: false,
    grantId: await grant.save(),
    gty: 'password',
  };
  const refresh = new provider.RefreshToken({
    ...shared,
    authTime: Math.floor(Date.now() / 1000),
    resource: resource?.identifier(),
    rotations: 0,
    scope: [...scopes].join(' '),
  });
  const access = new provider.AccessToken(shared);
  if (certificate) access.setThumbprint('x5t', certificate);
  if (proof) access.setThumbprint('jkt', proof.thumbprint);
  await grants.resolveAndApplyResource(provider, ctx, refresh, access, grant);

  const accessToken = await access.save();
  let refreshToken;
  if (await grants.shouldIssueRefreshToken(provider, ctx, refresh)) {
    await grants.applyRefreshTokenBindings(provider, ctx, access, refresh);
    refreshToken = await refresh.save();
  }
  ctx.body = grants.buildTokenResponse(provider, {
    accessToken,
    expiresIn: access.expiration,
    idToken: await issueIdToken(provider, ctx, refresh, access, grant),
    refreshToken,
    scope: access.scope || undefined,
    tokenType: access.tokenType,
  });
}
