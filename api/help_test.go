package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"go.uber.org/goleak"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

// Bodies of pages and files are text or bytes to the specification.
func init() {
	for _, media := range []string{"text/html", "text/css", "text/javascript", "image/png", "image/svg+xml"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder)
	}
}

// TestMain finds goroutines left behind. The database's memory pool drains for
// a second after it was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"))
}

// account is a key that signs transactions.
type account struct {
	key   *ecdsa.PrivateKey
	at    chain.Address
	nonce uint64
}

// relay is a node's keys.
type relay struct {
	key ed25519.PrivateKey
	vrf beacon.Key
	id  chain.NodeID
}

// world is a ledger in memory behind the API.
type world struct {
	testing.TB
	ledger   *ledger.Ledger
	gen      genesis.Genesis
	handler  http.Handler
	client   *http.Client
	router   routers.Router
	accounts []*account
	relays   []*relay
}

func seed(kind string, i int) [32]byte { return chain.SHA256(fmt.Appendf(nil, "%s %d", kind, i)) }

// empty is a ledger before its first block.
func empty(t testing.TB, change func(*api.Config, *ledger.Config)) *world {
	t.Helper()
	sealer := sealerKey()
	params, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, gen: genesis.Genesis{Core: genesis.Core{
		ChainID: 777, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger, Engine: genesis.EngineSealer,
		Time: 1_700_000_000_000, Sealers: []chain.NodeID{chain.NodeID(sealer.Public().(ed25519.PublicKey))},
		RewardPool: 1_000_000 * chain.TUN, Params: params,
	}}}
	for i := range 5 {
		s := seed("account", i)
		key, err := crypto.ToECDSA(s[:])
		if err != nil {
			t.Fatal(err)
		}
		a := &account{key: key, at: chain.Address(crypto.PubkeyToAddress(key.PublicKey))}
		w.accounts = append(w.accounts, a)
		w.gen.Allocations = append(w.gen.Allocations, genesis.Allocation{Address: a.at, Balance: 100_000 * chain.TUN})
	}
	for _, a := range w.accounts[2:] {
		w.gen.Council = append(w.gen.Council, a.at)
	}
	slices.SortFunc(w.gen.Council, func(a, b chain.Address) int { return bytes.Compare(a[:], b[:]) })
	w.gen.CouncilMin = 2
	slices.SortFunc(w.gen.Allocations, func(a, b genesis.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	for i := range 3 {
		w.relays = append(w.relays, newRelay(i))
	}
	lcfg := ledger.Config{Genesis: w.gen, SealerKey: sealer, Mode: ledger.ModeManual, Clock: ledger.NewDrivenClock(w.gen.Time)}
	cfg := api.Config{Network: w.gen.Network(), Version: "test"}
	if change != nil {
		change(&cfg, &lcfg)
	}
	if w.ledger, err = ledger.Open(t.Context(), lcfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.ledger.Close() })
	cfg.Ledger = w.ledger
	if w.handler, err = api.New(cfg); err != nil {
		t.Fatal(err)
	}
	w.client = &http.Client{Transport: httpx.InMemory(w.handler)}
	spec, err := oas.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	if w.router, err = legacy.NewRouter(spec); err != nil {
		t.Fatal(err)
	}
	return w
}

func newRelay(i int) *relay {
	s := seed("relay", i)
	key := ed25519.NewKeyFromSeed(s[:])
	return &relay{key: key, vrf: beacon.NewKey(seed("vrf", i)), id: chain.NodeID(key.Public().(ed25519.PublicKey))}
}

// five is a network before epoch 1, in which five nodes of five operators will be
// listed, so that they judge each other.
func five(t testing.TB, change func(*api.Config, *ledger.Config)) *world {
	t.Helper()
	w := empty(t, change)
	w.seal()
	for i := len(w.relays); i < 5; i++ {
		w.relays = append(w.relays, newRelay(i))
	}
	for i, r := range w.relays {
		w.register(r, w.accounts[i], w.gen.Params.StakingRequirement)
	}
	w.seal()
	for _, r := range w.relays {
		w.publish(r, 1)
	}
	w.seal()
	return w
}

func sealerKey() ed25519.PrivateKey {
	s := seed("sealer", 0)
	return ed25519.NewKeyFromSeed(s[:])
}

// running is a network in epoch 1: two listed nodes, a third one registered
// that lacks half of its stake.
func running(t testing.TB, change func(*api.Config, *ledger.Config)) *world {
	t.Helper()
	w := empty(t, change)
	w.seal()
	full := w.gen.Params.StakingRequirement
	w.register(w.relays[0], w.accounts[0], full)
	w.register(w.relays[1], w.accounts[1], full/2)
	w.register(w.relays[2], w.accounts[2], full/2)
	w.seal()
	w.must(w.submit(sign(w, w.accounts[3], staking.ContributeType, func(h chain.Head) staking.Contribute {
		return staking.Contribute{Head: h, Node: w.relays[1].id, Amount: full / 2}
	})))
	for i := range w.relays {
		w.publish(w.relays[i], 1)
	}
	w.seal()
	w.epoch(1)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) seal() chain.SealedHeader {
	w.Helper()
	s, err := w.ledger.Seal(w.Context())
	w.must(err)
	return s
}

// epoch moves the network to the first block of e.
func (w *world) epoch(e chain.Epoch) {
	w.Helper()
	w.must(w.ledger.AdvanceTo(w.Context(), w.gen.EpochStart(e)))
}

func (w *world) submit(tx chain.Tx) error {
	_, err := w.ledger.Submit(w.Context(), tx.Encode())
	return err
}

// sign makes a transaction of the account's next nonce.
func sign[T any](w *world, a *account, def *chain.TypeDef[T], build func(chain.Head) T) chain.Tx {
	w.Helper()
	v := build(chain.Head{Nonce: a.nonce, Fee: w.gen.Params.MinFee, ValidUntil: 1_000_000})
	a.nonce++
	tx := def.Unsigned(v)
	digest, err := w.ledger.Domain().Digest(def.Schema(), tx.Payload)
	w.must(err)
	sig, err := crypto.Sign(digest[:], a.key)
	w.must(err)
	tx.Sig = [chain.SignatureSize]byte(sig)
	return tx
}

func (w *world) transfer(from, to *account, x chain.Amount) chain.Tx {
	w.Helper()
	return sign(w, from, machine.TransferType, func(h chain.Head) machine.Transfer {
		return machine.Transfer{Head: h, To: to.at, Amount: x}
	})
}

func (w *world) register(r *relay, operator *account, x chain.Amount) {
	w.Helper()
	hash := w.gen.Hash()
	vrf := r.vrf.Public()
	sig := statement.Domain{Genesis: hash}.SignRaw(r.key, statement.LabelRegistration, statement.RegistrationBody(operator.at, vrf))
	proof := r.vrf.Prove(beacon.RegistrationAlpha(hash, operator.at))
	w.must(w.submit(sign(w, operator, registry.RegisterType, func(h chain.Head) registry.Register {
		return registry.Register{Head: h, Node: r.id, VRFKey: vrf, FeeBps: 1000, Amount: x, NodeSignature: sig[:], VRFProof: proof[:]}
	})))
}

func (w *world) descriptor(r *relay, e chain.Epoch, port int) statement.Statement {
	d := statement.Descriptor{Version: "1.0", Endpoints: []string{fmt.Sprintf("127.%d.0.1:%d", r.id[0]|1, port)},
		Keys: []statement.OnionKey{{First: e, Last: e + 9, Key: seed("onion", int(r.id[0]))}}}
	return statement.Sign(w.ledger.Statements(), r.key, statement.LabelDescriptor, statement.NewSequence(e, 0), d.Encode())
}

func (w *world) heartbeat(r *relay, e chain.Epoch, counter uint32) statement.Statement {
	h := statement.Heartbeat{Version: "1.0", Height: w.ledger.Head().Header.Height, VRF: r.vrf.Prove(beacon.EpochAlpha(w.gen.Hash(), e))}
	return statement.Sign(w.ledger.Statements(), r.key, statement.LabelHeartbeat, statement.NewSequence(e, counter), h.Encode())
}

// publish puts a descriptor and a heartbeat of epoch e into the pool.
func (w *world) publish(r *relay, e chain.Epoch) {
	w.Helper()
	for _, st := range []statement.Statement{w.descriptor(r, e, 22021), w.heartbeat(r, e, 0)} {
		_, err := w.ledger.Publish(w.Context(), st.Encode())
		w.must(err)
	}
}

// slash has a node punished in the present epoch for two descriptors of one
// sequence, on another node's report, and returns the proof.
func (w *world) slash(who, reporter *relay) slashing.Proof {
	w.Helper()
	l, header, err := w.ledger.List(0)
	w.must(err)
	e := header.Header.DirEpoch
	p, err := slashing.Assemble(slashing.DoubleDescriptor, w.descriptor(who, e+1, 1).Encode(), w.descriptor(who, e+1, 2).Encode(), header, l)
	w.must(err)
	_, err = w.ledger.Publish(w.Context(), statement.Sign(w.ledger.Statements(), reporter.key, statement.LabelProof, statement.NewSequence(e, 0), p.Encode()).Encode())
	w.must(err)
	w.seal()
	return p
}

// answer is a response that was held against the specification.
type answer struct {
	*http.Response
	body []byte
}

// do sends a request and validates the response.
func (w *world) do(method, path string, body []byte, headers ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, "http://api.test"+path, bytes.NewReader(body))
	w.must(err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := w.client.Do(req)
	w.must(err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	w.must(err)
	if res.Header.Get("Content-Encoding") == "" {
		w.validate(method, path, res, got)
	}
	if res.StatusCode >= 400 && method != http.MethodHead {
		var p httpx.Problem
		if err := json.Unmarshal(got, &p); err != nil || p.Status != res.StatusCode || p.Code == "" || p.Title == "" || res.Header.Get("Content-Type") != httpx.ProblemType {
			w.Fatalf("%s %s: %d is not a problem document: %s", method, path, res.StatusCode, got)
		}
		if len(got) > 1024 || strings.Contains(string(got), "Schema:") || strings.Contains(p.Detail, "components") {
			w.Fatalf("%s %s leaks: %s", method, path, got)
		}
	}
	return answer{res, got}
}

// validate holds a response against openapi.yaml, where the path is in it.
func (w *world) validate(method, path string, res *http.Response, body []byte) {
	w.Helper()
	if err := w.check(method, path, res, body); err != nil {
		w.Fatalf("%s %s: response is not as specified: %v\n%s", method, path, err, body)
	}
}

func (w *world) check(method, path string, res *http.Response, body []byte) error {
	req, err := http.NewRequest(method, path, nil)
	if err != nil {
		return err
	}
	route, params, err := w.router.FindRoute(req)
	if err != nil {
		return nil
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 res.StatusCode, Header: res.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(body)
	return openapi3filter.ValidateResponse(context.Background(), in)
}

func (w *world) get(path string, headers ...string) answer {
	w.Helper()
	return w.do(http.MethodGet, path, nil, headers...)
}

// ok reads a 200 into v.
func (w *world) ok(path string, v any, headers ...string) answer {
	w.Helper()
	a := w.get(path, headers...)
	if a.StatusCode != http.StatusOK {
		w.Fatalf("GET %s: %s %s", path, a.Status, a.body)
	}
	if v != nil {
		w.must(json.Unmarshal(a.body, v))
	}
	return a
}

// refused expects a problem.
func (w *world) refused(a answer, status int, code string) httpx.Problem {
	w.Helper()
	var p httpx.Problem
	_ = json.Unmarshal(a.body, &p)
	if a.StatusCode != status || p.Code != code {
		w.Fatalf("got %d %q (%s), want %d %q", a.StatusCode, p.Code, p.Detail, status, code)
	}
	return p
}
