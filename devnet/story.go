package devnet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/internal/durable"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// Told is what a story found out: one JSON object for programs.
type Told struct {
	OK              bool          `json:"ok"`
	Seed            uint64        `json:"seed"`
	Genesis         chain.Hash    `json:"genesis_hash"`
	Relays          int           `json:"relays"`
	Listed          int           `json:"listed"`
	Alice           string        `json:"alice"`
	Bob             string        `json:"bob"`
	Delivered       bool          `json:"delivered"`
	Confirmed       bool          `json:"confirmed"`
	Hops            int           `json:"hops"`
	ReadyMS         int64         `json:"ready_ms"`     // start to all relays listed
	FirstMS         int64         `json:"confirmed_ms"` // start to first confirmed message
	DeliveryMS      int64         `json:"delivery_ms"`  // send to confirmation
	Offence         string        `json:"offence"`
	OffenceID       chain.Hash    `json:"offence_id"`
	Basis           string        `json:"basis"`
	Offender        chain.NodeID  `json:"offender"`
	OffenderName    string        `json:"offender_name"`
	Operator        chain.Address `json:"operator"`
	Reporter        chain.Address `json:"reporter"`
	Stake           string        `json:"stake_tun"`
	Slashed         string        `json:"slashed_tun"`
	Reward          string        `json:"reward_tun"`
	Burned          string        `json:"burned_tun"`
	EpochBefore     chain.Epoch   `json:"epoch_before"`
	EpochAfter      chain.Epoch   `json:"epoch_after"`
	ListedBefore    bool          `json:"listed_before"`
	ListedAfter     bool          `json:"listed_after"`
	SupplyConserved bool          `json:"supply_conserved"`
	Proof           string        `json:"proof_file,omitempty"`
	Claim           string        `json:"protection"`
	ElapsedMS       int64         `json:"elapsed_ms"`
}

// Step is one sentence of a story, told when it has happened.
type Step struct {
	After time.Duration // since the start
	Text  string
}

// StorySpec says how the story is told.
type StorySpec struct {
	Spec
	// Message is what alice writes to bob ("hello").
	Message string
	// OnlyMessage ends the story with the confirmed message.
	OnlyMessage bool
	// Tell gets each sentence.
	Tell func(Step)
}

// ErrStory means that the network did not do what it must.
var ErrStory = errors.New("devnet: the story went wrong")

// story is one telling.
type story struct {
	StorySpec
	begin time.Time
	net   *Network
	told  Told
}

func (s *story) tell(format string, args ...any) {
	if s.Tell != nil {
		s.Tell(Step{time.Since(s.begin), fmt.Sprintf(format, args...)})
	}
}

// Tell starts a network, lets alice write to bob, lets one relay equivocate,
// and sees it slashed. Everything told is what the network did.
func Tell(ctx context.Context, spec StorySpec) (Told, error) {
	spec.Clients = max(spec.Clients, 2)
	if spec.Relays < 5 {
		return Told{}, fmt.Errorf("%w: a story needs at least 5 relays: three hops, a mailbox, and one that cheats", ErrSpec)
	}
	if spec.Message == "" {
		spec.Message = "hello"
	}
	s := &story{StorySpec: spec, begin: time.Now()}
	net, err := Start(ctx, spec.Spec)
	if err != nil {
		return Told{}, err
	}
	s.net = net
	defer net.Close()
	s.told = Told{Seed: net.Seed, Genesis: net.File.Genesis, Relays: spec.Relays, Claim: net.Genesis.Params.Claim(), ReadyMS: time.Since(s.begin).Milliseconds()}
	head := net.Ledger.Head().Header
	s.told.Listed = int(head.DirCount)
	s.tell("Ledger %s (seed %d) lists %d relays in epoch %d, block %d.", s.told.Genesis, net.Seed, head.DirCount, head.DirEpoch, head.Height)
	if err := s.message(ctx); err != nil {
		return s.told, err
	}
	if !spec.OnlyMessage {
		if err := s.offence(ctx); err != nil {
			return s.told, err
		}
	}
	if err := net.Err(); err != nil {
		return s.told, err
	}
	s.told.OK = s.told.Confirmed && s.told.SupplyConserved && (spec.OnlyMessage || !s.told.ListedAfter)
	s.told.ElapsedMS = time.Since(s.begin).Milliseconds()
	return s.told, nil
}

// message lets alice write to bob and waits for his confirmation.
func (s *story) message(ctx context.Context) error {
	alice, bob := s.net.Clients[0], s.net.Clients[1]
	s.told.Alice, s.told.Bob = alice.Account.String(), bob.Account.String()
	if err := alice.AddContact(bob.Account.ID(), bob.Name); err != nil {
		return err
	}
	sent := time.Now()
	if _, err := alice.SendWithConfirmation(ctx, bob.Account.ID(), s.Message); err != nil {
		return fmt.Errorf("%w: alice's message was not confirmed: %w", ErrStory, err)
	}
	s.told.DeliveryMS = time.Since(sent).Milliseconds()
	s.told.FirstMS = time.Since(s.begin).Milliseconds()
	s.told.Confirmed = true
	s.told.Hops = s.net.hops()
	for _, m := range bob.Inbox() {
		s.told.Delivered = s.told.Delivered || (m.Contact == alice.Account.ID() && m.Text == s.Message)
	}
	if !s.told.Delivered {
		return fmt.Errorf("%w: confirmed, and not in bob's inbox", ErrStory)
	}
	s.tell("alice %s\n  wrote %q to bob %s\n  through %d relays and a mailbox; bob's confirmation came back after %d ms.", s.told.Alice, s.Message, s.told.Bob, s.told.Hops, s.told.DeliveryMS)
	ok, err := s.conserved()
	s.told.SupplyConserved = ok
	return err
}

// offence lets a relay show two descriptors and follows what comes of it.
func (s *story) offence(ctx context.Context) error {
	n := s.net
	before := n.Ledger.Head()
	pick := beacon.NewDraw(n.derive("offender", 0), "offender")
	cheat := n.Relays[pick.N(uint64(len(n.Relays)))]
	s.told.Offender, s.told.OffenderName, s.told.Operator = cheat.ID, cheat.Name(), cheat.Operator.Address()
	s.told.EpochBefore = before.Header.DirEpoch
	list, _, err := n.Ledger.List(before.Header.DirEpoch)
	if err != nil {
		return err
	}
	if s.told.ListedBefore, err = list.Prove(cheat.ID).Verify(before.Header); err != nil {
		return err
	}
	witness, err := n.DoubleDescriptor(ctx, cheat.Index)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStory, err)
	}
	s.tell("%s %s\n  shows another descriptor than the one it published, under the same sequence: it could lead clients apart.", cheat.Name(), cheat.ID)
	if err := n.Seal(ctx); err != nil {
		return err
	}
	record, ok := n.slashOf(cheat.ID)
	if !ok {
		return fmt.Errorf("%w: the report was refused", ErrStory)
	}
	s.tellSlash(record, witness.Name())
	if err := s.export(record); err != nil {
		return err
	}
	if err := n.AdvanceEpochs(ctx, 1); err != nil {
		return err
	}
	after := n.Ledger.Head()
	s.told.EpochAfter = after.Header.DirEpoch
	if list, _, err = n.Ledger.List(after.Header.DirEpoch); err != nil {
		return err
	}
	if s.told.ListedAfter, err = list.Prove(cheat.ID).Verify(after.Header); err != nil {
		return err
	}
	s.tell("Epoch %d lists %d relays, and %s is not among them: its neighbours in the list prove it.", after.Header.DirEpoch, after.Header.DirCount, cheat.Name())
	s.told.SupplyConserved, err = s.conserved()
	if s.told.SupplyConserved {
		s.tell("All balances, bonds, rewards and what burned add up to the supply.")
	}
	return err
}

func (s *story) tellSlash(r slashing.Record, witness string) {
	s.told.Offence, s.told.OffenceID, s.told.Basis = r.Kind.String(), r.ID, string(r.Kind.Basis())
	s.told.Stake, s.told.Slashed, s.told.Reward, s.told.Burned = r.Stake.String(), r.Total.String(), r.Reward.String(), r.Burned.String()
	s.told.Reporter = r.Reporter
	s.tell("%s saw both and reported it. Offence %s\n  %s, basis %s: %s of %s TUN slashed, %s to the reporter %s, %s burned; tombstoned in block %d.",
		witness, r.ID, r.Kind, r.Kind.Basis(), r.Total, r.Stake, r.Reward, r.Reporter, r.Burned, r.At)
}

// export writes the proof file where everything is kept.
func (s *story) export(r slashing.Record) error {
	if s.Dir == "" {
		return nil
	}
	s.told.Proof = filepath.Join(s.Dir, "offence.proof")
	if err := durable.WriteFile(s.told.Proof, r.Proof, 0o644); err != nil {
		return fmt.Errorf("devnet: export proof: %w", err)
	}
	s.tell("The proof is in %s; `tunic proof verify` judges it offline.", s.told.Proof)
	return nil
}

// conserved runs the ledger's own check of all invariants.
func (s *story) conserved() (bool, error) {
	var err error
	s.net.Ledger.View(func(m *machine.Machine) { err = m.Check() })
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrStory, err)
	}
	return true, nil
}

// slashOf is the record of a node's slash.
func (n *Network) slashOf(id chain.NodeID) (r slashing.Record, ok bool) {
	n.Ledger.View(func(m *machine.Machine) {
		for _, x := range m.Slashing().All() {
			if x.Node == id {
				r, ok = x, true
			}
		}
	})
	return r, ok
}

// hops is how many relays forwarded a packet on its way to a mailbox member,
// by what the relays counted: answers pass two relays before their guard.
func (n *Network) hops() int {
	var forwarded, delivered, answers float64
	for _, r := range n.Relays {
		c := r.Daemon.Counters()
		forwarded += float64(c.Forwarded)
		delivered += float64(c.Delivered)
		answers += float64(c.ToClient)
	}
	if delivered == 0 {
		return 0
	}
	return int(math.Round((forwarded - 2*answers) / delivered)) // rounded: some are under way
}
