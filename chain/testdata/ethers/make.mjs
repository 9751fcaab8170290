// Prints vectors.json: transactions signed as EIP-712 typed data by ethers,
// which shares no code with this repository. Run it after npm ci:
//
//	node chain/testdata/ethers/make.mjs > chain/testdata/ethers/vectors.json
import { TypedDataEncoder, Wallet, version } from "ethers";

const head = [
  { name: "nonce", type: "uint64" },
  { name: "fee", type: "uint64" },
  { name: "validUntil", type: "uint64" },
];
const types = {
  Transfer: [...head, { name: "to", type: "address" }, { name: "amount", type: "uint64" }],
  Register: [
    ...head,
    { name: "node", type: "bytes32" },
    { name: "vrfKey", type: "bytes32" },
    { name: "feeBps", type: "uint16" },
    { name: "amount", type: "uint64" },
    { name: "nodeSignature", type: "bytes" },
    { name: "vrfProof", type: "bytes" },
  ],
};

const bytes = (n, first) => "0x" + Array.from({ length: n }, (_, i) => ((first + 7 * i) & 255).toString(16).padStart(2, "0")).join("");
const domain = (chainId, salt) => ({ name: "Tunic", version: "1", chainId, salt });
const most = "18446744073709551615";

// Keys of these vectors alone; nothing of value may ever belong to them.
const keys = ["0x" + "11".repeat(32), bytes(32, 3), "0x" + "0".repeat(63) + "1"];

const cases = [
  ["Transfer", keys[0], domain("31337", bytes(32, 1)),
    { nonce: "0", fee: "1000", validUntil: "500", to: "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", amount: "12500000000" }],
  ["Transfer", keys[1], domain("1", bytes(32, 200)),
    { nonce: most, fee: most, validUntil: most, to: "0xffffffffffffffffffffffffffffffffffffffff", amount: most }],
  ["Transfer", keys[2], domain(most, "0x" + "00".repeat(32)),
    { nonce: "0", fee: "0", validUntil: "0", to: "0x0000000000000000000000000000000000000000", amount: "0" }],
  ["Register", keys[0], domain("31337", bytes(32, 1)),
    { nonce: "1", fee: "1000", validUntil: "500", node: bytes(32, 9), vrfKey: bytes(32, 77), feeBps: "1000", amount: "500000000000",
      nodeSignature: bytes(64, 5), vrfProof: bytes(80, 6) }],
  ["Register", keys[1], domain("7", bytes(32, 40)),
    { nonce: "258", fee: "4294967296", validUntil: "65536", node: bytes(32, 255), vrfKey: bytes(32, 128), feeBps: "65535", amount: "1",
      nodeSignature: "0x", vrfProof: bytes(1, 0) }],
];

const vectors = [];
for (const [primaryType, privateKey, dom, message] of cases) {
  const t = { [primaryType]: types[primaryType] };
  const wallet = new Wallet(privateKey);
  vectors.push({
    primaryType, types: t, domain: dom, message, privateKey,
    address: wallet.address,
    domainSeparator: TypedDataEncoder.hashDomain(dom),
    digest: TypedDataEncoder.hash(dom, t, message),
    signature: await wallet.signTypedData(dom, t, message),
  });
}
console.log(JSON.stringify({ made_by: "node chain/testdata/ethers/make.mjs, ethers " + version, vectors }, null, 2));
