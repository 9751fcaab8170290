package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry/directory"
)

func TestService(t *testing.T) {
	w := running(t, nil)
	var health oas.Health
	w.ok("/healthz", &health)
	w.ok("/readyz", &health)
	if head := w.ledger.Head().Header.Height; health.Height != int64(head) {
		t.Errorf("ready at %d, head %d", health.Height, head)
	}
	var st oas.Status
	w.ok("/v1/status", &st)
	if st.Epoch != 1 || st.Listed != 2 || st.Nodes["active"] != 2 || st.Nodes["registered"] != 1 || st.Head != w.ledger.Head().Header.Hash().String() {
		t.Errorf("status %+v", st)
	}
	if st.EpochEndsMs != int64(w.gen.EpochStart(2)) || st.BlockIntervalMs != int64(w.gen.Params.BlockInterval) || st.Slashed != "0" || st.Slashes != 0 {
		t.Errorf("status %+v", st)
	}
	var sum chain.Amount
	for _, part := range []oas.Amount{st.Circulating, st.Bonded, st.Burned, st.RewardPool, st.RewardsOutstanding, st.Held} {
		var a chain.Amount
		w.must(a.UnmarshalText([]byte(part)))
		sum += a
	}
	if supply, _ := w.gen.Supply(); sum != supply || st.Supply != fmt.Sprint(uint64(supply)) {
		t.Errorf("parts sum up to %d of %s", sum, st.Supply)
	}
	var network map[string]any
	w.ok("/v1/network", &network)
	if network["genesis_hash"] != w.gen.Hash().String() {
		t.Errorf("network file of %v", network["genesis_hash"])
	}
	var typed oas.Eip712
	w.ok("/v1/chain/eip712", &typed)
	if len(typed.Kinds) != 11 || typed.Kinds["request-unlock"] != "RequestUnlock" || typed.Domain.Salt != "0x"+w.gen.Hash().String() ||
		typed.Types["Transfer"][4].Name != "amount" || typed.Types["Transfer"][4].Type != "uint64" {
		t.Errorf("typed data %+v", typed)
	}
}

func TestBlocks(t *testing.T) {
	w := running(t, nil)
	head := w.ledger.Head()
	var b oas.Block
	w.ok("/v1/blocks/2", &b)
	if len(b.Transactions) != 3 || b.Transactions[0].Kind != "register" || b.Transactions[0].Result != "ok" {
		t.Errorf("block 2: %+v", b.Transactions)
	}
	for _, name := range []string{"latest", fmt.Sprint(head.Header.Height), head.Header.Hash().String()} {
		octets := w.ok("/v1/blocks/"+name, nil, "Accept", "application/octet-stream")
		got, err := chain.DecodeBlock(octets.body)
		w.must(err)
		if got.Header.Hash() != head.Header.Hash() {
			t.Errorf("block %s is another", name)
		}
		var h oas.Header
		w.ok("/v1/headers/"+name, &h)
		octets = w.ok("/v1/headers/"+name, nil, "Accept", "application/json;q=0.5, application/octet-stream")
		if chain.SHA256(octets.body[:len(octets.body)-64]).String() != h.Hash {
			t.Errorf("header %s: bytes do not hash to %s", name, h.Hash)
		}
		// Its tag saves the body, and one form's tag is not the other's.
		tag := octets.Header.Get("ETag")
		if a := w.get("/v1/headers/"+name, "Accept", "application/octet-stream", "If-None-Match", tag); a.StatusCode != http.StatusNotModified || len(a.body) != 0 {
			t.Errorf("header %s with its tag: %s", name, a.Status)
		}
		if a := w.get("/v1/headers/"+name, "If-None-Match", tag); a.StatusCode != http.StatusOK {
			t.Errorf("header %s as JSON with the tag of its bytes: %s", name, a.Status)
		}
	}
	if a := w.ok("/v1/blocks/"+head.Header.Hash().String(), nil); !strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("a block by its hash: Cache-Control %q", a.Header.Get("Cache-Control"))
	}
}

// TestPaging: every list is read in pages of one, pinned, each item once.
func TestPaging(t *testing.T) {
	w := running(t, nil)
	head := int64(w.ledger.Head().Header.Height)
	for path, total := range map[string]int64{
		"/v1/blocks": head, "/v1/accounts": 5, "/v1/stakes": 3, "/v1/nodes": 3, "/v1/nodes?state=active": 2,
		"/v1/nodes?operator=" + w.accounts[0].at.String(): 1, "/v1/slashes": 0, "/v1/slashes?node=" + w.relays[0].id.String(): 0,
	} {
		seen, cursor := map[string]bool{}, ""
		join := "?"
		if strings.Contains(path, "?") {
			join = "&"
		}
		for n := int64(0); ; n++ {
			var p struct {
				Height, Total int64
				Next          string `json:"next_cursor"`
				Items         []map[string]any
			}
			w.ok(path+join+"limit=1"+cursor, &p)
			if p.Total != total || p.Height != head && path == "/v1/blocks" {
				t.Errorf("%s: total %d at height %d, want %d at %d", path, p.Total, p.Height, total, head)
			}
			for _, item := range p.Items {
				key := fmt.Sprint(item["hash"], item["address"], item["node"])
				if seen[key] {
					t.Errorf("%s: %s twice", path, key)
				}
				seen[key] = true
			}
			if p.Next == "" {
				break
			}
			cursor = "&cursor=" + p.Next
			if path == "/v1/blocks" && n == 1 {
				w.seal() // comes too late for a pinned list
			}
		}
		if int64(len(seen)) != total {
			t.Errorf("%s: %d items of %d", path, len(seen), total)
		}
	}
}

func TestAccounts(t *testing.T) {
	w := running(t, nil)
	w.must(w.submit(w.transfer(w.accounts[4], w.accounts[0], 5)))
	var a oas.Account
	w.ok("/v1/accounts/"+w.accounts[4].at.String(), &a)
	if a.Nonce != "0" || *a.NextNonce != "1" || a.Balance != "100000000000000" {
		t.Errorf("account with a waiting transfer: %+v", a)
	}
	w.ok("/v1/accounts/"+w.accounts[3].at.String(), &a)
	if s := *a.Stakes; len(s) != 1 || s[0].Role != oas.Contributor || s[0].Node != w.relays[1].id.String() {
		t.Errorf("stakes of a contributor: %+v", s)
	}
	// Presence and absence are proven against the head.
	for _, at := range []chain.Address{w.accounts[0].at, {1}} {
		var a oas.Account
		w.ok("/v1/accounts/"+at.String()+"?proof=true", &a)
		sealed, err := chain.DecodeSealedHeader(a.Proof.Header)
		w.must(err)
		var roots [machine.Parts]machine.PartRoot
		for i, p := range a.Proof.Parts {
			root, err := chain.ParseHash(p.Root)
			w.must(err)
			roots[i].Root, roots[i].Count = [32]byte(root), uint32(p.Count)
		}
		if light.StateRoot(roots) != sealed.Header.State || a.Proof.Part != "accounts" {
			t.Error("the parts are not the header's")
		}
		r := wire.NewReader(a.Proof.Membership)
		m := table.ReadMembership(r)
		w.must(r.Done())
		value, present, err := m.Verify(roots[0].Root, roots[0].Count, a.Proof.Key)
		w.must(err)
		if present != (at == w.accounts[0].at) || present && len(value) != 16 {
			t.Errorf("account %s: present %v, %d bytes", at, present, len(value))
		}
	}
}

func TestNodes(t *testing.T) {
	w := running(t, nil)
	var d oas.NodeDetail
	w.ok("/v1/nodes/"+w.relays[0].id.String(), &d)
	if !d.Listed || d.State != oas.Active || len(d.History) != 2 || d.History[0].From != "none" || d.Descriptor == nil ||
		d.Stake == nil || !d.Stake.FullyStaked || (*d.Endpoints)[0] == "" {
		t.Errorf("listed node: %+v", d)
	}
	var st oas.Stake
	w.ok("/v1/stakes/"+w.relays[2].id.String(), &st)
	if st.FullyStaked || st.Total != "1000000000000" || st.FeeBps != 1000 {
		t.Errorf("half a stake: %+v", st)
	}
	var all []oas.ServiceNode
	w.ok("/api/service_nodes", &all)
	active := 0
	for _, n := range all {
		if n.Active {
			active++
			if !n.Funded || n.PubkeyX25519 == "" || n.StoragePort != 22021 || !strings.HasPrefix(n.PublicIp, "127.") || n.LastUptimeProof == 0 {
				t.Errorf("active node: %+v", n)
			}
		}
	}
	if len(all) != 3 || active != 2 {
		t.Errorf("%d nodes, %d active", len(all), active)
	}
}

// open reads what the directory serves in canonical bytes.
func open(w *world, b []byte) (chain.SealedHeader, *directory.List) {
	w.Helper()
	r := wire.NewReader(b)
	sealed, err := chain.DecodeSealedHeader(r.Bytes(1 << 16))
	w.must(err)
	l, err := directory.Decode(r.Fixed(r.Len()))
	w.must(err)
	w.must(l.Check(sealed.Header))
	return sealed, l
}

func TestDirectoryProof(t *testing.T) {
	w := running(t, nil)
	for i, listed := range []bool{true, true, false} {
		var p oas.DirectoryProof
		w.ok("/v1/directory/"+w.relays[i].id.String()+"/proof", &p)
		sealed, err := chain.DecodeSealedHeader(p.Header)
		w.must(err)
		r := wire.NewReader(p.Membership)
		m := directory.ReadMembership(r)
		w.must(r.Done())
		got, err := m.Verify(sealed.Header)
		w.must(err)
		if got != listed || p.Listed != listed || (p.Entry != nil) != listed || p.Removed {
			t.Errorf("relay %d: proven %v, said %v", i, got, p.Listed)
		}
	}
}

func TestDelta(t *testing.T) {
	w := running(t, nil)
	w.publish(w.relays[0], 2)
	w.publish(w.relays[1], 2)
	w.seal()
	w.epoch(2)
	_, want := open(w, w.ok("/v1/directory", nil, "Accept", "application/octet-stream").body)
	for since, from := range map[int]*directory.List{0: machine.EmptyList(), 1: nil, 2: want} {
		if from == nil {
			_, from = open(w, w.ok("/v1/directory?epoch=1", nil, "Accept", "application/octet-stream").body)
		}
		r := wire.NewReader(w.ok(fmt.Sprintf("/v1/directory/delta?since=%d", since), nil, "Accept", octets).body)
		sealed, err := chain.DecodeSealedHeader(r.Bytes(1 << 16))
		w.must(err)
		d, err := directory.DecodeDelta(r.Fixed(r.Len()))
		w.must(err)
		to, err := d.Apply(from)
		w.must(err)
		w.must(to.Check(sealed.Header))
		if to.Root() != want.Root() {
			t.Errorf("delta since %d leads elsewhere", since)
		}
	}
	w.refused(w.get("/v1/directory/delta?since=2&epoch=1"), 400, "invalid_request")
}
