package devnet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/devnet/fault"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/ledger/wallet"
	"tunic/slashing"
)

// Buyer is the account that buys the keys which relays sell by the fault
// key-disclosure, and reports them.
const Buyer = 6

// Sale is a key that a relay has sold to an account.
type Sale struct {
	Relay int
	Key   fault.Key
	Buyer wallet.Key

	salt      [32]byte
	committed chain.Epoch
	tries     int // to reveal it
}

// Sell lets relay i, counted from 0, hand over its identity key or its present
// onion key.
func (n *Network) Sell(i int, kind statement.KeyKind, buyer wallet.Key) (*Sale, error) {
	k, err := n.Relays[i].Twin.Sell(kind, n.Ledger.Head().Header.DirEpoch)
	if err != nil {
		return nil, fmt.Errorf("devnet: %s sells no key: %w", n.Relays[i].Name(), err)
	}
	n.selling.Lock()
	defer n.selling.Unlock()
	n.sold++
	return &Sale{Relay: i, Key: k, Buyer: buyer, salt: n.derive("disclosure", n.sold)}, nil
}

// keyLeft is for how many epochs more a key is in force that is sold on cometbft,
// where time passes while somebody commits and reveals.
const keyLeft = 4

// AwaitKey returns when the onion key of relay i is in force for long enough to be
// sold and told of: at once, but on cometbft shortly before it ends.
func (n *Network) AwaitKey(ctx context.Context, i int) error {
	if !n.onComet() || n.Genesis.Params.OnionKeyEpochs <= keyLeft {
		return nil
	}
	// As relays stagger the periods of their keys.
	life := uint64(n.Genesis.Params.OnionKeyEpochs)
	offset := binary.BigEndian.Uint64(n.Relays[i].ID[:8]) % life
	return n.awaitHead(ctx, func(h chain.Header) bool {
		return life-1-(uint64(h.DirEpoch)+life-offset)%life >= keyLeft
	})
}

// Commitment is the transaction by which the buyer commits to tell of the key.
func (n *Network) Commitment(s *Sale, h chain.Head) slashing.CommitDisclosure {
	s.committed = n.Ledger.Head().Header.DirEpoch
	return slashing.CommitDisclosure{Head: h, Deposit: slashing.LeastDeposit(&n.Genesis.Params),
		Commitment: slashing.Commitment(n.File.Genesis, n.Relays[s.Relay].ID, s.Key.Kind, s.Key.First, s.Buyer.Address(), s.salt)}
}

// Committed says in which block the last commit of s stands: its epoch may be the
// next one to that in which it was signed.
func (n *Network) Committed(s *Sale, st ledger.TxStatus) error {
	if st.State != ledger.TxIncluded {
		return nil // it waits for a block, or was refused
	}
	h, err := n.Ledger.Header(st.Height)
	if err != nil {
		return fmt.Errorf("devnet: commit to the %s of %s: %w", s.Key, n.Relays[s.Relay].Name(), err)
	}
	s.committed = h.Header.DirEpoch
	return nil
}

// Disclose makes the proof that opens the last commit of s, under the head. Where
// it does not hold it is returned all the same, with the refusal.
func (n *Network) Disclose(s *Sale) (slashing.Proof, error) {
	o := slashing.Opening{Key: s.Key.Kind, First: s.Key.First, Reporter: s.Buyer.Address(), Salt: s.salt, Committed: s.committed}
	id := n.Relays[s.Relay].ID
	row := slashing.CommitKey{Epoch: o.Committed, Account: o.Reporter, Hash: slashing.Commitment(n.File.Genesis, id, o.Key, o.First, o.Reporter, o.Salt)}
	for {
		head := n.Ledger.Head()
		h := head.Header
		var p slashing.Proof
		err := errMoved
		n.Ledger.View(func(m *machine.Machine) {
			if m.HeadHash() != h.Hash() {
				return
			}
			o.Commit = m.Prove(machine.PartOffences, row.Key())
			o.Sig, err = s.Key.Disclose(statement.Domain{Genesis: h.Genesis, Fork: h.Fork}, statement.Disclosure{
				Node: id, Key: o.Key, First: o.First, Epoch: h.DirEpoch, Reporter: o.Reporter, Beacon: h.Beacon})
			if err == nil {
				p, err = slashing.AssembleDisclosure(head, m.List(), id, o)
			}
		})
		if !errors.Is(err, errMoved) {
			return p, err
		}
	}
}

// errMoved means that a block came between two looks.
var errMoved = errors.New("devnet: the head moved")

// KeyDisclosure lets relay i sell a key to the network's buyer, who commits to
// tell of it. It returns when the commit stands in a block; the buyer reveals what
// it knows as soon as the next epoch has begun.
func (n *Network) KeyDisclosure(ctx context.Context, i int, kind statement.KeyKind) error {
	if err := n.AwaitKey(ctx, i); err != nil {
		return err
	}
	s, err := n.Sell(i, kind, n.Accounts[Buyer])
	if err != nil {
		return err
	}
	id, err := submitAs(ctx, n, s.Buyer, slashing.CommitDisclosureType, func(h chain.Head) slashing.CommitDisclosure { return n.Commitment(s, h) })
	if err != nil {
		return fmt.Errorf("devnet: commit to the %s of %s: %w", s.Key, n.Relays[i].Name(), err)
	}
	st, err := n.Settle(ctx, id)
	if err != nil {
		return err
	}
	if err := n.Committed(s, st); err != nil {
		return err
	}
	n.selling.Lock()
	n.told = append(n.told, s)
	n.selling.Unlock()
	if n.Spec.Live { // no barrier tells of blocks
		n.wg.Go(func() { n.tellOver(n.ctx) })
	}
	return nil
}

// tellOver looks for what can be revealed until nothing is left.
func (n *Network) tellOver(ctx context.Context) {
	again := time.NewTicker(showAgain / 10)
	defer again.Stop()
	for n.tell(ctx) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// tell submits the openings that have become possible and returns how many wait.
// What has lapsed meanwhile is forgotten.
func (n *Network) tell(ctx context.Context) int {
	n.selling.Lock()
	defer n.selling.Unlock()
	var left []*Sale
	for _, s := range n.told {
		if n.Ledger.Head().Header.DirEpoch <= s.committed {
			left = append(left, s)
			continue
		}
		p, err := n.Disclose(s)
		if err == nil {
			err = n.reveal(ctx, s, p)
		}
		if s.tries++; err != nil && n.onComet() && s.tries < 3 {
			left = append(left, s) // it may have come into a block of the next epoch
		}
		if err != nil {
			n.log.Info("a disclosure came to nothing", "relay", s.Relay+1, "error", err)
		}
	}
	n.told = left
	return len(left)
}

// reveal submits the opening of s.
func (n *Network) reveal(ctx context.Context, s *Sale, p slashing.Proof) error {
	id, err := submitAs(ctx, n, s.Buyer, slashing.SubmitProofType, func(h chain.Head) slashing.SubmitProof {
		return slashing.SubmitProof{Head: h, Proof: p.Encode()}
	})
	if err != nil || !n.onComet() {
		return err
	}
	st, err := n.Settle(ctx, id)
	if err == nil && st.Code != "" {
		err = fmt.Errorf("refused in block %d: %s", st.Height, st.Code)
	}
	return err
}

// submitAs signs a transaction of the account and submits it.
func submitAs[T any](ctx context.Context, n *Network, who wallet.Key, def *chain.TypeDef[T], of func(chain.Head) T) (chain.Hash, error) {
	h := chain.Head{Nonce: n.Ledger.NextNonce(who.Address()), Fee: n.Genesis.Params.MinFee, ValidUntil: n.Ledger.Head().Header.Height + 100}
	tx, err := who.Sign(n.Ledger.Domain(), def.Schema(), def.Unsigned(of(h)))
	if err != nil {
		return chain.Hash{}, err
	}
	return n.Submit(ctx, tx.Encode())
}
