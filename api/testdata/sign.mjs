// Signs messages with ethers, which shares no code with this repository, by
// nothing but what /v1/chain/eip712 says. Reads {typed, key, messages} and
// prints the bodies for POST /v1/transactions.
import { readFileSync } from "node:fs";
import { Wallet } from "ethers";

const { typed, key, messages } = JSON.parse(readFileSync(0, "utf8"));
const wallet = new Wallet(key);
const bodies = [];
for (const { kind, message } of messages) {
  const type = typed.kinds[kind];
  const signature = await wallet.signTypedData(typed.domain, { [type]: typed.types[type] }, message);
  bodies.push({ kind, message, signature });
}
process.stdout.write(JSON.stringify(bodies));
