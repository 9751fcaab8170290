package registry

import (
	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// Register makes the sender the operator of a new node and stakes its part. The
// node's identity key signs, and its VRF key proves, that both are the operator's.
type Register struct {
	chain.Head
	Node          chain.NodeID
	VRFKey        [32]byte
	FeeBps        chain.BasisPoints
	Amount        chain.Amount
	NodeSignature []byte // 64 bytes over statement.RegistrationBody, fork 0
	VRFProof      []byte // 80 bytes over beacon.RegistrationAlpha
}

// RegisterType is the kind of transaction.
var RegisterType = chain.Define(chain.KindRegister, "Register",
	func(v *Register) *chain.Head { return &v.Head },
	chain.Bytes32("node", func(v *Register) *chain.NodeID { return &v.Node }),
	chain.Bytes32("vrfKey", func(v *Register) *[32]byte { return &v.VRFKey }),
	chain.Uint16("feeBps", func(v *Register) *chain.BasisPoints { return &v.FeeBps }),
	chain.Uint64("amount", func(v *Register) *chain.Amount { return &v.Amount }),
	chain.Bytes("nodeSignature", 64, func(v *Register) *[]byte { return &v.NodeSignature }),
	chain.Bytes("vrfProof", beacon.ProofSize, func(v *Register) *[]byte { return &v.VRFProof }))

// Opener opens the bond of a new node, or refuses and changes nothing.
type Opener interface {
	Open(node chain.NodeID, operator chain.Address, fee chain.BasisPoints, amount chain.Amount, epoch chain.Epoch) error
}

// CheckRegister asks all of Register's questions but those of the stake: are
// the keys canonical and apart, is the node new, did both keys sign.
func (r *Registry) CheckRegister(sender chain.Address, tx Register) error {
	if !statement.Canonical(tx.Node) || !statement.Canonical(chain.NodeID(tx.VRFKey)) {
		return chain.Refuse(CodeBadKey, "the identity or VRF key is not canonical")
	}
	if tx.Node == chain.NodeID(tx.VRFKey) {
		return chain.Refuse(CodeBadKey, "the VRF key must be a key of its own")
	}
	if n, known := r.nodes.Get(tx.Node); known {
		if n.State == Tombstoned {
			return chain.Refuse(CodeTombstoned, "node %s is out for good", tx.Node.Short())
		}
		return chain.Refuse(CodeAlreadyRegistered, "node %s is %s; a node id lives once", tx.Node.Short(), n.State)
	}
	if len(tx.NodeSignature) != 64 {
		return chain.Refuse(CodeBadSignature, "the node's signature has %d bytes", len(tx.NodeSignature))
	}
	if len(tx.VRFProof) != beacon.ProofSize {
		return chain.Refuse(CodeBadVRF, "the VRF proof has %d bytes", len(tx.VRFProof))
	}
	domain := statement.Domain{Genesis: r.genesis}
	if domain.VerifyRaw(tx.Node, statement.LabelRegistration, statement.RegistrationBody(sender, tx.VRFKey), [64]byte(tx.NodeSignature)) != nil {
		return chain.Refuse(CodeBadSignature, "the node's key did not sign for operator %s", sender)
	}
	if _, err := beacon.Verify(tx.VRFKey, beacon.RegistrationAlpha(r.genesis, sender), [beacon.ProofSize]byte(tx.VRFProof)); err != nil {
		return chain.Refuse(CodeBadVRF, "the VRF key did not prove for operator %s", sender)
	}
	return nil
}

// Register adds a node, with the bond that it opens.
func (r *Registry) Register(sender chain.Address, tx Register, ctx Context, bonds Opener) error {
	if err := r.CheckRegister(sender, tx); err != nil {
		return err
	}
	if err := bonds.Open(tx.Node, sender, tx.FeeBps, tx.Amount, ctx.Epoch); err != nil {
		return err
	}
	n := Node{ID: tx.Node, VRF: tx.VRFKey, Operator: sender,
		RegisteredEpoch: ctx.Epoch, RegisteredHeight: ctx.Height,
		Swarm: directory.NoSwarm, PreviousSwarm: directory.NoSwarm, Performance: 1000}
	r.enter(&n, Registered, "registered", chain.Hash{}, ctx)
	r.put(n)
	return nil
}
