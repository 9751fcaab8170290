// Connects to a URL as a wallet does, with ethers, and prints what it sees of an
// address.
import { JsonRpcProvider, formatEther } from "ethers";

const [url, address] = process.argv.slice(2);
const provider = new JsonRpcProvider(url);
const [network, height, balance, nonce, block] = await Promise.all([
  provider.getNetwork(), provider.getBlockNumber(), provider.getBalance(address), provider.getTransactionCount(address), provider.getBlock("latest"),
]);
console.log(JSON.stringify({ chain: String(network.chainId), height, balance: formatEther(balance), nonce, block: block.hash }));
provider.destroy();
