// Reads the directory of a ledger with types made from openapi.yaml, and prints
// what it sees. The compiler holds each member against the description.
import type { components, paths } from "./api.ts";

type Directory = paths["/v1/directory"]["get"]["responses"][200]["content"]["application/json"];
type Nodes = paths["/v1/nodes"]["get"]["responses"][200]["content"]["application/json"];
type Problem = components["schemas"]["Problem"];

const [url] = process.argv.slice(2);

async function get<T>(path: keyof paths & string, query = ""): Promise<T> {
  const answer = await fetch(url + path + query, { headers: { accept: "application/json" } });
  if (!answer.ok) {
    const problem = (await answer.json()) as Problem;
    throw new Error(`${problem.status} ${problem.code}`);
  }
  return (await answer.json()) as T;
}

const directory = await get<Directory>("/v1/directory");
const listed: string[] = directory.entries.map((entry) => entry.node);
const nodes = await get<Nodes>("/v1/nodes", "?state=active&limit=10");
const active: string[] = nodes.items.filter((node) => node.listed).map((node) => node.node);
let refused = "";
try {
  await get<Nodes>("/v1/nodes", "?limit=5000");
} catch (e) {
  refused = (e as Error).message;
}
console.log(JSON.stringify({ epoch: directory.epoch, count: directory.count, listed, active, refused }));
