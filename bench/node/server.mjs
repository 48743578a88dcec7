// The same endpoint as Shopify's own library for Node would have it: verify, store once, answer 200.
import cluster from "node:cluster";
import "@shopify/shopify-api/adapters/node";
import { shopifyApi } from "@shopify/shopify-api";
import express from "express";
import pg from "pg";

const TABLE = `CREATE TABLE IF NOT EXISTS bench_node (key text PRIMARY KEY, topic text, shop text, subject text,
  facts jsonb, at timestamptz DEFAULT now())`;
const INSERT = `INSERT INTO bench_node (key, topic, shop, subject, facts) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (key) DO NOTHING`;

if (cluster.isPrimary) {
  const database = new pg.Client();
  await database.connect();
  await database.query(TABLE);
  await database.end();
  for (let n = 0; n < Number(process.env.WEB_PROCESSES); n += 1) cluster.fork();
} else {
  const shopify = shopifyApi({
    apiKey: process.env.SHOPIFY_API_KEY,
    apiSecretKey: process.env.SHOPIFY_API_SECRET,
    apiVersion: process.env.SHOPIFY_API_VERSION ?? "2026-10",
    hostName: "127.0.0.1",
    isEmbeddedApp: true,
    logger: { level: 0 },
  });
  const database = new pg.Pool({ max: 4 });
  const app = express();
  app.get("/healthz", (request, response) => response.end());
  app.post("/webhooks", express.text({ type: "*/*" }), async (request, response) => {
    const rawRequest = request;
    const told = await shopify.webhooks.validate({ rawBody: request.body, rawRequest, rawResponse: response });
    if (!told.valid) return response.status(401).end();
    const data = JSON.parse(request.body);
    const facts = { id: data.admin_graphql_api_id, order_id: data.order_id, status: data.status };
    await database.query(INSERT, [told.webhookId, told.topic, told.domain, String(data.id), facts]);
    return response.status(200).end();
  });
  app.listen(Number(process.env.PORT), "127.0.0.1");
}
