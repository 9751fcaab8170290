package mail_test

import (
	"bytes"
	"errors"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/mail"
)

// swarmMessages is one message of each kind, filled as far as it may be.
func swarmMessages() map[string]mail.SwarmMessage {
	scope := mail.Scope{Salt: [16]byte{1}, At: 77, Lower: []byte{1, 2}, Upper: bytes.Repeat([]byte{9}, mail.MaxBound)}
	shorts := func(n int) (out []mail.Short) {
		for i := range n {
			out = append(out, mail.Short{byte(i)})
		}
		return out
	}
	var copies []mail.Copy
	for _, name := range []string{"store", "request", "put bundle", "delete"} {
		c := commands()[name]
		c.Replies = nil
		copies = append(copies, mail.Copy{Serial: 7, Command: c})
	}
	copies = append(copies, mail.Copy{Tombstone: &mail.Tombstone{Mailbox: mail.ID{1}, Item: chain.Hash{2}, Token: [32]byte{3}, Until: 4}})
	var upper [][]byte
	var sums []mail.Sum
	for i := range mail.MaxRanges {
		upper = append(upper, []byte{byte(i), 1, 2, 3})
		sums = append(sums, mail.Sum{Rows: uint32(i), Bits: mail.Short{byte(i)}})
	}
	upper[len(upper)-1] = []byte{}
	return map[string]mail.SwarmMessage{
		"copies": {Kind: mail.SwarmCopies, Copies: copies[:1]},
		"push":   {Kind: mail.SwarmPush, Copies: copies[1:2]},
		"give":   {Kind: mail.SwarmGive, ID: 5, Left: 3, Copies: copies[2:]},
		"acks": {Kind: mail.SwarmAcks, Acks: []mail.Ack{
			{Serial: 1, Code: mail.CodeStored, Fork: 2, Until: 3, Sig: [64]byte{4}}, {Serial: 2, Code: mail.CodeDeleted, Token: [32]byte{5}}, {Serial: 3, Code: mail.CodeBusy},
		}},
		"ask":      {Kind: mail.SwarmAsk, ID: 5, Scope: scope, Upper: upper},
		"sums":     {Kind: mail.SwarmSums, ID: 5, Sums: sums},
		"refused":  {Kind: mail.SwarmSums, ID: 5},
		"list":     {Kind: mail.SwarmList, ID: 5, Scope: mail.Scope{Lower: []byte{}, Upper: []byte{}}},
		"listing":  {Kind: mail.SwarmListing, ID: 5, Shorts: shorts(mail.MaxShorts), Next: []byte{4}},
		"want":     {Kind: mail.SwarmWant, ID: 5, Scope: scope, Shorts: shorts(mail.MaxWant)},
		"give end": {Kind: mail.SwarmGive, ID: 5},
	}
}

func TestSwarmMessagesRoundTripAndFitOneFrame(t *testing.T) {
	most := onion.Small.PacketSize() - 4
	for name, m := range swarmMessages() {
		b := m.Encode()
		if len(b) > most {
			t.Errorf("%s: %d bytes, a frame carries %d", name, len(b), most)
		}
		d, err := small.DecodeSwarm(b)
		if err != nil || !bytes.Equal(d.Encode(), b) || d.Kind != m.Kind {
			t.Errorf("%s: %v", name, err)
		}
		for _, bad := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), 0), append([]byte{2}, b[1:]...), {1, 99}, {1}, nil} {
			if _, err := small.DecodeSwarm(bad); !errors.Is(err, mail.ErrMalformed) {
				t.Errorf("%s: %d bytes accepted: %v", name, len(bad), err)
			}
		}
	}
	// Only what is kept is copied.
	for _, name := range []string{"poll", "get bundle", "head"} {
		c := commands()[name]
		c.Replies = nil
		if _, err := small.DecodeSwarm(mail.SwarmMessage{Kind: mail.SwarmCopies, Copies: []mail.Copy{{Command: c}}}.Encode()); !errors.Is(err, mail.ErrMalformed) {
			t.Errorf("%s is copied", name)
		}
	}
	large := mail.FormatOf(onion.Large)
	s := *commands()["store"].Store
	s.Content = make([]byte, large.Item())
	b := mail.SwarmMessage{Kind: mail.SwarmCopies, Copies: []mail.Copy{{Serial: 1, Command: mail.Command{Store: &s}}}}.Encode()
	if _, err := large.DecodeSwarm(b); err != nil || len(b) > onion.Large.PacketSize()-4 {
		t.Errorf("large: %d bytes, %v", len(b), err)
	}
	if _, err := small.DecodeSwarm(b); err == nil {
		t.Error("a large item in a small network")
	}
}

func TestAckBecomesReceipt(t *testing.T) {
	k, id := key(7)
	want := statement.Receipt{Chunks: chain.Hash{1}, Class: 5, Until: 99, Deleter: chain.Hash{2}}
	signed := statement.Sign(statement.Domain{Genesis: chain.Hash{3}, Fork: 4}, k, statement.LabelReceipt, 0, want.Encode())
	common := want
	common.Until = 0
	got := mail.Ack{Code: mail.CodeStored, Fork: 4, Until: 99, Sig: signed.Sig}.Receipt(chain.NodeID(id), common)
	if !bytes.Equal(got.Encode(), signed.Encode()) {
		t.Fatal("another receipt")
	}
}

// Sums are equal only where the rows are; a salt makes all of them others.
func TestSums(t *testing.T) {
	scope := mail.Scope{Salt: [16]byte{1}}
	names := map[mail.Short]bool{}
	for m := range byte(4) {
		for i := range byte(4) {
			for _, st := range []mail.RowState{mail.RowItem, mail.RowDeleted, mail.RowRequest, mail.RowBundle} {
				names[scope.ShortOf(mail.ID{m}, chain.Hash{i}, st)] = true
				other := mail.Scope{Salt: [16]byte{2}}
				names[other.ShortOf(mail.ID{m}, chain.Hash{i}, st)] = true
			}
		}
	}
	if len(names) != 2*4*4*4 {
		t.Fatalf("%d names", len(names))
	}
	var a, b mail.Sum
	for x := range names {
		a.Add(x)
	}
	for x := range names {
		b.Add(x)
	}
	if a != b || a.Rows != 128 {
		t.Fatal("the order matters")
	}
	b.Add(mail.Short{})
	if a == b {
		t.Fatal("a row that adds nothing is not counted")
	}
}

func FuzzSwarm(f *testing.F) {
	for _, m := range swarmMessages() {
		f.Add(m.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := small.DecodeSwarm(b); err == nil && !bytes.Equal(m.Encode(), b) {
			t.Fatal("two encodings")
		}
	})
}
