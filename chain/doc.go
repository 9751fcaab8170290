// Package chain is the vocabulary of the ledger: identifiers and quantities,
// account transactions and the TypeDef that describes a kind of them, headers
// and seals. It implements docs/spec/chain.md.
//
// Most callers want Hash, NodeID, Address, Amount, Height and Epoch; a module
// that adds a kind of transaction writes one TypeDef. The package knows no
// module, reads no clock and draws no randomness. One value has one encoding:
// every decoder refuses what its encoder would not have written.
package chain
