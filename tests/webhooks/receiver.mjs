// A receiver of webhooks that verifies with public libraries: `v1` with the package
// standardwebhooks, `v1a` with Node's own crypto.
//
// PUT sets what it verifies with, GET tells the ids that it accepted and the reasons
// for which it refused, and a POST is a delivery.

import { createPublicKey, verify as verifies } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";

// The packages are in the folder that the first argument names.
const { Webhook } = createRequire(`${process.argv[2]}/`)("standardwebhooks");

const accepted = [];
const refused = [];
let verify;

function byPublicKey(text) {
  const x = Buffer.from(text.slice("whpk_".length), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return (body, headers) => {
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const fits = (signature) => {
      const [version, encoded] = signature.split(",");
      const bytes = Buffer.from(encoded, "base64");
      return version === "v1a" && verifies(null, Buffer.from(signed), key, bytes);
    };
    if (!headers["webhook-signature"].split(" ").some(fits)) throw new Error("no signature fits");
  };
}

function bySecret(text) {
  const webhook = new Webhook(text);
  return (body, headers) => webhook.verify(body, headers);
}

async function answer(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  if (request.method === "GET") return [200, JSON.stringify({ accepted, refused })];
  if (request.method === "PUT") {
    verify = body.startsWith("whpk_") ? byPublicKey(body) : bySecret(body);
    return [204];
  }
  try {
    verify(body, request.headers);
    JSON.parse(body);
  } catch (error) {
    refused.push(String(error));
    return [400];
  }
  accepted.push(request.headers["webhook-id"]);
  return [204];
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request);
  response.writeHead(status).end(body);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit(0));
