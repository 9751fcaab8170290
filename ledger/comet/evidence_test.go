package comet_test

import (
	"crypto/ed25519"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cometbft/cometbft/consensus"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/p2p"
	cmtcons "github.com/cometbft/cometbft/proto/tendermint/consensus"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/ledger/comet"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// liar is a validator that signs, beside each of its prevotes, one for another
// block, and sends it to everybody.
type liar struct {
	types.PrivValidator
	key    cmted25519.PrivKey
	engine func() *p2p.Switch // nil: not started yet

	mu   sync.Mutex
	lied map[int64]bool // heights
}

func (l *liar) SignVote(chainID string, v *cmtproto.Vote) error {
	if err := l.PrivValidator.SignVote(chainID, v); err != nil {
		return err
	}
	sw := l.engine()
	if v.Type != cmtproto.PrevoteType || v.Height < 3 || sw == nil || len(v.BlockID.Hash) == 0 {
		return nil
	}
	other := *v
	other.BlockID.Hash = append([]byte(nil), v.BlockID.Hash...)
	other.BlockID.Hash[0] ^= 1
	sig, err := l.key.Sign(types.VoteSignBytes(chainID, &other))
	if err != nil {
		return err
	}
	other.Signature = sig
	l.mu.Lock()
	l.lied[v.Height] = true
	l.mu.Unlock()
	for _, v := range []cmtproto.Vote{*v, other} { // whoever has gone on to the next height sees neither
		sw.Broadcast(p2p.Envelope{ChannelID: consensus.VoteChannel, Message: &cmtcons.Vote{Vote: &v}})
	}
	return nil
}

func (l *liar) didAt(h chain.Height) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lied[int64(h)]
}

// TestLiarIsSlashed: a validator that really signs two votes in one round loses
// part of its bond and its place on all the others, and each has a proof file that
// holds without CometBFT.
func TestLiarIsSlashed(t *testing.T) {
	g, keys := network(t, 4)
	l := &liar{key: cmted25519.PrivKey(keys[3]), lied: map[int64]bool{}}
	var sw atomic.Pointer[p2p.Switch]
	l.engine = sw.Load
	var all []*validator
	var peers []string
	for i, k := range keys {
		v := start(t, t.TempDir(), g, k, peers, func(c *comet.Config) {
			if i == 3 {
				c.Wrap(func(pv types.PrivValidator) types.PrivValidator { l.PrivValidator = pv; return l })
			}
		})
		all, peers = append(all, v), append(peers, v.node.Address())
	}
	sw.Store(all[3].node.Engine().Switch())
	id := chain.NodeID(keys[3].Public().(ed25519.PublicKey))
	for _, v := range all[:3] {
		v.until(t, "the slash", func() bool {
			var found bool
			v.View(func(m *machine.Machine) { found = len(m.Slashing().All()) > 0 })
			return found
		})
		var rec slashing.Record
		v.View(func(m *machine.Machine) {
			rec = m.Slashing().All()[0]
			n, _ := m.Registry().Node(id)
			if n.State != registry.Tombstoned || m.Registry().IsValidator(id) {
				t.Errorf("the liar is %s", n.State)
			}
		})
		if rec.Node != id || rec.Kind != slashing.DoubleSeal || rec.Total != g.Params.SlashDoubleSeal.Of(g.Params.StakingRequirement) || !l.didAt(rec.Height) {
			t.Errorf("record %+v", rec)
		}
		var p slashing.Proof
		v.until(t, "the proof file", func() (ok bool) {
			var err error
			p, err = v.Proof(rec.ID)
			return err == nil
		})
		if p.ID() != rec.ID {
			t.Errorf("a proof of offence %s, not %s", p.ID(), rec.ID)
		}
		offline, err := light.New(g.Network())
		if err != nil {
			t.Fatal(err)
		}
		if o, err := slashing.Verify(p, offline); err != nil || o.Node != id || o.Height != rec.Height {
			t.Errorf("judged offline: %+v, %v", o, err)
		}
		head := v.Head().Header.Height
		v.await(t, head+3) // three of four go on
	}
	for _, v := range all {
		v.stop(t)
	}
}
