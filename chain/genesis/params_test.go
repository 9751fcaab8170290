package genesis_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/internal/wire"
)

func TestParamRules(t *testing.T) {
	type P = *genesis.Params
	for _, c := range []struct {
		name   string
		change func(P)
		ok     bool
	}{
		{"as it is", func(P) {}, true},
		{"no requirement", func(p P) { p.StakingRequirement = 0 }, false},
		{"a fee of a thousandth of the requirement", func(p P) { p.MinFee = p.StakingRequirement / 1000 }, true},
		{"a fee above", func(p P) { p.MinFee = p.StakingRequirement/1000 + 1 }, false},
		{"no contributor", func(p P) { p.MaxContributors = 0 }, false},
		{"64 contributors", func(p P) { p.MaxContributors = 64 }, true},
		{"65 contributors", func(p P) { p.MaxContributors = 65 }, false},
		{"operator's minimum 100 %", func(p P) { p.OperatorMinimum = 10_000 }, true},
		{"operator's minimum above", func(p P) { p.OperatorMinimum = 10_001 }, false},
		{"no epoch", func(p P) { p.EpochLength = 0 }, false},
		{"no block interval", func(p P) { p.BlockInterval = 0 }, false},
		{"one block an epoch", func(p P) { p.BlockInterval = p.EpochLength }, true},
		{"blocks longer than epochs", func(p P) { p.BlockInterval = p.EpochLength + 1 }, false},
		{"no heartbeat", func(p P) { p.HeartbeatEvery = 0 }, false},
		{"heartbeat ends when the next is due", func(p P) { p.HeartbeatValid = p.HeartbeatEvery }, false},
		{"receipts up to the unlock delay", func(p P) { p.ReceiptHorizon = p.UnlockDelay - p.ChallengeWindow - p.EpochLength }, false},
		{"receipts just below", func(p P) { p.ReceiptHorizon = p.UnlockDelay - p.ChallengeWindow - p.EpochLength - 1 }, true},
		{"receipts that overflow", func(p P) { p.ReceiptHorizon = chain.Duration(math.MaxUint64) - p.ChallengeWindow + 1 }, false},
		{"evidence up to the unlock delay", func(p P) { p.EvidenceAge = p.UnlockDelay - p.CorrelationWindow }, false},
		{"evidence just below", func(p P) { p.EvidenceAge = p.UnlockDelay - p.CorrelationWindow - 1 }, true},
		{"evidence that overflows", func(p P) { p.EvidenceAge = chain.Duration(math.MaxUint64) - p.CorrelationWindow + 1 }, false},
		{"challenge window of the credit", func(p P) { p.ChallengeWindow = p.CreditMost }, true},
		{"challenge window below the credit", func(p P) { p.ChallengeWindow = p.CreditMost - 1 }, false},
		{"more votes than voters", func(p P) { p.QuorumVotes = p.QuorumSize + 1 }, false},
		{"half of the votes", func(p P) { p.QuorumVotes = 5 }, false},
		{"a majority", func(p P) { p.QuorumVotes = 6 }, true},
		{"no quorum", func(p P) { p.QuorumSize, p.QuorumVotes = 0, 0 }, false},
		{"a quorum of 12", func(p P) { p.QuorumSize, p.QuorumVotes = 12, 12 }, true},
		{"a quorum of 13", func(p P) { p.QuorumSize, p.QuorumVotes = 13, 13 }, false},
		{"a quorum of 3", func(p P) { p.QuorumSize, p.QuorumVotes = 3, 3 }, false},
		{"no probes", func(p P) { p.ProbesPerRelay = 0 }, false},
		{"17 probes a relay", func(p P) { p.ProbesPerRelay = 17 }, false},
		{"tree of depth 0", func(p P) { p.ProbeDepth = 0 }, false},
		{"tree of depth 21", func(p P) { p.ProbeDepth = 21 }, false},
		{"window of 3 epochs", func(p P) { p.ScoreWindow, p.ScoreForgiven = 3, 0 }, false},
		{"window of 65 epochs", func(p P) { p.ScoreWindow = 65 }, false},
		{"too much forgiven", func(p P) { p.ScoreForgiven = p.ScoreWindow - 3 }, false},
		{"score above 1,000", func(p P) { p.ScoreLeast = 1001 }, false},
		{"changes at once", func(p P) { p.ParamsDelay = 0 }, false},
		{"no swarm", func(p P) { p.SwarmLeast = 0 }, false},
		{"swarm's least above its target", func(p P) { p.SwarmLeast = p.SwarmTarget + 1 }, false},
		{"onion keys of 1 epoch", func(p P) { p.OnionKeyEpochs = 1 }, false},
		{"onion keys of 64 epochs", func(p P) { p.OnionKeyEpochs = 64 }, true},
		{"onion keys of 65 epochs", func(p P) { p.OnionKeyEpochs = 65 }, false},
		{"no geometry", func(p P) { p.Geometry = 0 }, false},
		{"large geometry", func(p P) { p.Geometry = 2 }, true},
		{"geometry 3", func(p P) { p.Geometry = 3 }, false},
		{"no TTL", func(p P) { p.MailboxTTL = 0 }, false},
		{"TTL above the most", func(p P) { p.MailboxTTL = p.MailboxMost + 1 }, false},
		{"no quota", func(p P) { p.MailboxQuota = 0 }, false},
		{"reporter gets more than half", func(p P) { p.ReporterShare = 5_001 }, false},
		{"penalty double-descriptor", func(p P) { p.SlashDoubleDescriptor = 10_001 }, false},
		{"penalty double-seal", func(p P) { p.SlashDoubleSeal = 10_001 }, false},
		{"penalty double-vote", func(p P) { p.SlashDoubleVote = 10_001 }, false},
		{"double-descriptors for nothing", func(p P) { p.SlashDoubleDescriptor = 0 }, false},
		{"double-votes for nothing", func(p P) { p.SlashDoubleVote = 0 }, false},
		{"double-votes for a unit", func(p P) { p.StakingRequirement, p.MinFee, p.SlashDoubleVote = 10_000, 1, 1 }, true},
		{"double-votes for less than a unit", func(p P) { p.StakingRequirement, p.MinFee, p.SlashDoubleVote = 9_999, 1, 1 }, false},
		{"penalty lost-message", func(p P) { p.SlashLostMessage = 10_001 }, false},
		{"penalty key-disclosure", func(p P) { p.SlashKeyDisclosure = 10_001 }, false},
		{"penalty unauthorised", func(p P) { p.SlashUnauthorised = 10_001 }, false},
		{"64 versions", func(p P) { p.Versions = strings.Fields(strings.Repeat("v ", 64)) }, true},
		{"65 versions", func(p P) { p.Versions = strings.Fields(strings.Repeat("v ", 65)) }, false},
		{"longest version", func(p P) { p.Versions = []string{strings.Repeat("v", 32)} }, true},
		{"version too long", func(p P) { p.Versions = []string{strings.Repeat("v", 33)} }, false},
		{"empty version", func(p P) { p.Versions = []string{""} }, false},
		{"version not printable", func(p P) { p.Versions = []string{"v\n"} }, false},
	} {
		p := params(t, genesis.Mainnet)
		c.change(&p)
		if err := p.Validate(); (err == nil) != c.ok || (err != nil && !errors.Is(err, genesis.ErrParams)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// No duration may be so long that sums overflow.
	typ := reflect.TypeFor[genesis.Params]()
	for i := range typ.NumField() {
		if typ.Field(i).Type != reflect.TypeFor[chain.Duration]() {
			continue
		}
		p := params(t, genesis.Mainnet)
		reflect.ValueOf(&p).Elem().Field(i).SetUint(uint64(genesis.MaxDuration) + 1)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "100 years") {
			t.Errorf("%s above the longest duration: %v", typ.Field(i).Name, err)
		}
	}
}

// Each field has a JSON key, and each is in the encoding.
func TestParamsEncoding(t *testing.T) {
	typ := reflect.TypeFor[genesis.Params]()
	testenv.Check(t, func(t *rapid.T) {
		var p genesis.Params
		v := reflect.ValueOf(&p).Elem()
		for i := range typ.NumField() {
			switch f := v.Field(i); f.Kind() {
			case reflect.Bool:
				f.SetBool(rapid.Bool().Draw(t, typ.Field(i).Name))
			case reflect.Slice:
				f.Set(reflect.ValueOf(rapid.SliceOfN(rapid.StringN(0, 8, 32), 0, 64).Draw(t, typ.Field(i).Name)))
			default:
				f.SetUint(rapid.Uint64Max(1<<f.Type().Bits()-1).Draw(t, typ.Field(i).Name))
			}
		}
		if len(p.Versions) == 0 {
			p.Versions = nil
		}
		r := wire.NewReader(p.Encode())
		if got := genesis.ReadParams(r); r.Done() != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("%+v reads as %+v, %v", p, got, r.Err())
		}
	})
	seen := map[string]bool{}
	for i := range typ.NumField() {
		key := typ.Field(i).Tag.Get("json")
		if key == "" || seen[key] || strings.Contains(key, ",") {
			t.Errorf("%s has the JSON key %q", typ.Field(i).Name, key)
		}
		seen[key] = true
		if isDuration := typ.Field(i).Type == reflect.TypeFor[chain.Duration](); isDuration != strings.HasSuffix(key, "_ms") {
			t.Errorf("%s has the JSON key %q without its unit", typ.Field(i).Name, key)
		}
	}
}

func FuzzReadParams(f *testing.F) {
	for _, p := range profiles {
		f.Add(params(f, p).Encode())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := wire.NewReader(in)
		p := genesis.ReadParams(r)
		if r.Done() == nil && !bytes.Equal(p.Encode(), in) {
			t.Fatalf("%x has a second encoding", in)
		}
		_ = p.Validate()
	})
}

func TestClaim(t *testing.T) {
	for p, want := range map[genesis.Profile]string{genesis.Mainnet: "100 ms per hop, cover by loops", genesis.Private: "100 ms per hop, cover by loops", genesis.Dev: "no protection against timing"} {
		if c := params(t, p).Claim(); !strings.Contains(c, want) {
			t.Errorf("%s claims %q", p, c)
		}
	}
	p := params(t, genesis.Mainnet)
	p.Cover = false
	if c := p.Claim(); !strings.Contains(c, "no cover") {
		t.Errorf("without cover: %q", c)
	}
	p.Cover, p.MixingMean = true, 0
	if c := p.Claim(); !strings.Contains(c, "no mixing, cover") {
		t.Errorf("without mixing: %q", c)
	}
}
