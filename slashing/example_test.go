package slashing_test

import (
	"errors"
	"fmt"

	"tunic/chain/statement"
	"tunic/slashing"
)

// A proof file is judged with nothing but the network file.
func Example() {
	w := newWorld()
	file := w.proof(1).Encode()

	p, err := slashing.Decode(file)
	if err != nil {
		fmt.Println(slashing.VerdictOf(err), err)
		return
	}
	for _, s := range slashing.Steps(p, w.anchor) {
		fmt.Println(s.Name, s.OK)
	}
	offence, err := slashing.Verify(p, w.anchor)
	fmt.Println(slashing.VerdictOf(err), offence.Kind, offence.Basis)

	p.Header.Header.DirCount++
	_, err = slashing.Verify(p, w.anchor)
	fmt.Println(slashing.VerdictOf(err), errors.Is(err, slashing.ErrNotListed))
	// Output:
	// canonical true
	// kind true
	// network true
	// statements true
	// pair true
	// fork true
	// content true
	// epoch true
	// entry true
	// signatures true
	// header true
	// valid double-descriptor signature
	// invalid true
}

// Two verdicts on one node in one epoch: whoever signs them loses stake, and
// keeps its place.
func Example_doubleVote() {
	w := newWorld()
	fit := vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990)
	unfit := vote(w.domain(), 1, nodeOf(key(2)), epoch, statement.ReasonLoss, 300)

	p, err := slashing.Assemble(slashing.DoubleVote, unfit.Encode(), fit.Encode(), w.header, w.list)
	fmt.Println(err)
	offence, err := slashing.Verify(p, w.anchor)
	fmt.Println(slashing.VerdictOf(err), offence.Kind, offence.Kind.Penalty(&w.core.Params), "bps, tombstone", offence.Kind.Tombstones())
	// Output:
	// <nil>
	// valid double-vote 200 bps, tombstone false
}

// A heartbeat declares a version that no longer may run. The proof carries the
// parameters in force, so that it needs no ledger.
func Example_unauthorisedSoftware() {
	w := newWorld()
	p := w.software(1)
	for _, s := range slashing.Steps(p, w.anchor)[7:10] {
		fmt.Println(s.Name+":", s.Detail)
	}
	fmt.Println(p.Kind.Basis())
	// Output:
	// parameters: change 1 of the parameters, in force from epoch 7 to 12 at least
	// version: it declares version "1"; allowed were ["2"]
	// grace: allowed since epoch 7, and 30000 ms of grace were over
	// self-declared
}

// A quorum's votes, with the draw that made it the quorum.
func Example_unavailable() {
	w := newWorld()
	p := w.verdict(2)
	for _, s := range slashing.Steps(p, w.anchor)[6:9] {
		fmt.Println(s.Name+":", s.Detail)
	}
	fmt.Println(p.Kind.Basis())
	// Output:
	// draw: the beacon of epoch 12 draws these 6 of 6 nodes to judge 8139770e
	// seats: 5 have a seat with a vote, the voters among them
	// number: 5 votes, of 5 voters 4 are needed
	// vote
}
