package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/light"
	"tunic/registry"
)

// What a demo left is explained, and a ledger that lies about it is caught.
func TestExplain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	told := demo(t, "--relays", "12", "--seed", "3", "--datadir", dir)
	network, api := serveLeft(t, dir)

	explain := func(network string, e chain.Epoch) (v epochView, code int, errs string) {
		code, out, errs := tunic(t, "explain", "epoch", fmt.Sprint(e), "--network", network, "-o", "json")
		if out != "" {
			if err := json.Unmarshal([]byte(out), &v); err != nil {
				t.Fatal(err)
			}
		}
		return v, code, errs
	}
	var spoke *epochView
	for e := range told.EpochAfter + 1 {
		v, code, errs := explain(network, e)
		if code != exitDone || !v.Equal || v.Recomputed != v.Beacon || v.Running != (e == told.EpochAfter) {
			t.Fatalf("epoch %d: exit code %d: %s %+v", e, code, errs, v)
		}
		if len(v.Contributed) > 0 && spoke == nil {
			spoke = &v
		}
	}
	if spoke == nil {
		t.Fatal("nobody contributed to any beacon")
	}
	if before, _, _ := explain(network, told.EpochBefore); len(before.Removals) != 1 || before.Removals[0] != told.Offender {
		t.Errorf("epoch %d removed %v, want %s", told.EpochBefore, before.Removals, told.Offender)
	}
	if after, _, _ := explain(network, told.EpochAfter); after.Diff == nil || len(after.Diff.Removed) != 1 || after.Silent[0] != told.Offender {
		t.Errorf("epoch %d: the offender is not missed: %+v", told.EpochAfter, after)
	}
	code, out, errs := tunic(t, "explain", "node", told.Offender.String(), "--network", network)
	for _, want := range []string{"active -> tombstoned", "slashed at height", "it is not listed: it is out for good", "no (proven)"} {
		if code != exitDone || !strings.Contains(out, want) {
			t.Errorf("explain node: exit code %d: %s, without %q: %s", code, errs, want, out)
		}
	}

	seed, err := os.ReadFile(filepath.Join(dir, "ledger", "sealer.key"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(seed)))
	if err != nil {
		t.Fatal(err)
	}
	sealer := ed25519.NewKeyFromSeed(raw)
	heartbeat := spoke.Contributed[0].First
	for name, c := range map[string]struct {
		path string
		with func([]byte) []byte
		want string
	}{
		"a heartbeat was changed": {fmt.Sprintf("/v1/blocks/%d", heartbeat), func(b []byte) []byte { b[len(b)-70] ^= 1; return b }, "not_verified"},
		"a heartbeat was left out and the block sealed again": {fmt.Sprintf("/v1/blocks/%d", heartbeat), func(b []byte) []byte {
			x, err := chain.DecodeBlock(b)
			if err != nil {
				panic(err)
			}
			x.Txs = nil
			x.Header.TxCount, x.Header.TxRoot = 0, chain.SHA256()
			x.SealedHeader = light.Seal(sealer, x.Header)
			return x.Encode()
		}, "not_verified"},
		"the sealer chose the beacon": {fmt.Sprintf("/v1/headers/%d", spoke.First.Height), func(b []byte) []byte {
			x, err := chain.DecodeSealedHeader(b)
			if err != nil {
				panic(err)
			}
			x.Header.Beacon[0] ^= 1
			return light.Seal(sealer, x.Header).Encode()
		}, "beacon_differs"},
	} {
		_, code, errs := explain(lying(t, network, api, c.path, c.with), spoke.Epoch)
		if code != exitFalse || !strings.Contains(errs, `"code":"`+c.want+`"`) {
			t.Errorf("%s: exit code %d: %s", name, code, errs)
		}
	}
}

// lying serves what api does but for one path, and gives a network file for it.
func lying(t *testing.T, network, api, path string, with func([]byte) []byte) string {
	t.Helper()
	to, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.URL.Path != path {
			return nil
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		b = with(b)
		r.Body = io.NopCloser(bytes.NewReader(b))
		r.ContentLength = int64(len(b))
		r.Header.Set("Content-Length", strconv.Itoa(len(b)))
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	b, err := os.ReadFile(network)
	if err != nil {
		t.Fatal(err)
	}
	n, err := genesis.ParseNetwork(b)
	if err != nil {
		t.Fatal(err)
	}
	n.URLs = []string{server.URL}
	file := filepath.Join(t.TempDir(), "network.json")
	if err := os.WriteFile(file, n.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestStateAt(t *testing.T) {
	history := []client.NodeEvent{{Height: 2, To: client.Registered}, {Height: 9, To: client.Active}, {Height: 9, To: client.Decommissioned},
		{Height: 20, To: client.Tombstoned}}
	for height, want := range map[chain.Height]registry.State{2: 0, 3: registry.Registered, 9: registry.Registered, 10: registry.Decommissioned,
		20: registry.Decommissioned, 21: registry.Tombstoned} {
		if got := stateAt(history, height); got != want {
			t.Errorf("before block %d: %s, want %s", height, got, want)
		}
	}
	for i, s := range nodeStates {
		if registry.State(i+1).String() != string(s) {
			t.Errorf("state %d is %s, nodeStates has %s", i+1, registry.State(i+1), s)
		}
	}
}
