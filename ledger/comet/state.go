package comet

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// State is what a validator sees of its engine. It names nobody.
type State struct {
	Height     chain.Height // that is being decided
	Round      int          // of it: above 0 where validators did not agree at once
	Peers      int          // links that are open
	Validators int          // who decide it
	Votes      bool         // this one is among them
	Signed     int          // of those who could sign the newest block that was decided, who did
	Signers    int          // and those
	Block      time.Time    // time of that block; zero before the first
	Waiting    int          // transactions in CometBFT's mempool
	Syncing    bool         // blocks of others are fetched; nothing is voted on
}

// State reads it, for metrics: it takes no lock of CometBFT for longer than a copy.
// Once the validator is stopped there is none.
func (n *Node) State() (State, bool) {
	n.running.RLock()
	defer n.running.RUnlock()
	if n.stopped {
		return State{}, false
	}
	s := State{Peers: n.node.Switch().Peers().Size(), Waiting: n.node.Mempool().Size(), Syncing: n.node.ConsensusReactor().WaitSync()}
	store := n.node.BlockStore()
	newest := store.Height()
	s.Height = chain.Height(newest + 1)
	if !s.Syncing {
		s.Height, s.Round = n.step(s.Height)
	}
	self := cometbft.AddressOf(n.self)
	_, set := n.consensus.GetValidators()
	s.Validators = len(set)
	for _, v := range set {
		s.Votes = s.Votes || string(v.Address) == string(self[:])
	}
	if meta := store.LoadBlockMeta(newest); meta != nil {
		s.Block = meta.Header.Time
	}
	if c := store.LoadSeenCommit(newest); c != nil {
		s.Signers = len(c.Signatures)
		for _, x := range c.Signatures {
			if x.BlockIDFlag == types.BlockIDFlagCommit {
				s.Signed++
			}
		}
	}
	return s, true
}

// step is the height and the round that are under way; height and 0 where CometBFT
// does not say.
func (n *Node) step(height chain.Height) (chain.Height, int) {
	b, err := n.consensus.GetRoundStateSimpleJSON()
	if err != nil {
		return height, 0
	}
	var at struct {
		Step string `json:"height/round/step"`
	}
	var h uint64
	var round, step int
	if json.Unmarshal(b, &at) != nil {
		return height, 0
	}
	if _, err := fmt.Sscanf(at.Step, "%d/%d/%d", &h, &round, &step); err != nil {
		return height, 0
	}
	return chain.Height(h), round
}

// watched finds what State reads.
func (n *Node) watched() error {
	env, err := n.node.ConfigureRPC() // served nowhere
	if err != nil {
		return err
	}
	n.consensus = env.ConsensusState
	return nil
}
