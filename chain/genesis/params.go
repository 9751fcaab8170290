package genesis

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tunic/chain"
	"tunic/internal/wire"
)

// Millisecond units for parameters.
const (
	Second chain.Duration = 1000
	Minute                = 60 * Second
	Hour                  = 60 * Minute
	Day                   = 24 * Hour
)

// Params are the rules of one network. They live in genesis; durations are
// milliseconds. docs/spec/parameters.md says what each is for.
type Params struct {
	StakingRequirement chain.Amount      `json:"staking_requirement"`
	MaxContributors    uint16            `json:"max_contributors"`
	OperatorMinimum    chain.BasisPoints `json:"operator_minimum_bps"` // of the requirement
	MinFee             chain.Amount      `json:"min_fee"`
	BlockReward        chain.Amount      `json:"block_reward"`

	BlockInterval  chain.Duration `json:"block_interval_ms"`
	EpochLength    chain.Duration `json:"epoch_length_ms"`
	HeartbeatEvery chain.Duration `json:"heartbeat_every_ms"`
	HeartbeatValid chain.Duration `json:"heartbeat_valid_ms"`
	UnlockDelay    chain.Duration `json:"unlock_delay_ms"`
	DeregisterLock chain.Duration `json:"deregister_lock_ms"`

	CreditStart  chain.Duration `json:"credit_start_ms"`
	CreditPerDay chain.Duration `json:"credit_per_day_ms"`
	CreditMost   chain.Duration `json:"credit_most_ms"`
	CreditLeast  chain.Duration `json:"credit_least_ms"`

	ReceiptHorizon    chain.Duration `json:"receipt_horizon_ms"`
	ChallengeWindow   chain.Duration `json:"challenge_window_ms"`
	EvidenceAge       chain.Duration `json:"evidence_age_ms"`
	CorrelationWindow chain.Duration `json:"correlation_window_ms"`

	QuorumSize  uint16 `json:"quorum_size"`
	QuorumVotes uint16 `json:"quorum_votes"`
	SwarmTarget uint16 `json:"swarm_target"`
	SwarmLeast  uint16 `json:"swarm_least"`

	OnionKeyEpochs uint16         `json:"onion_key_epochs"`
	MixingMean     chain.Duration `json:"mixing_mean_ms"` // per hop; 0 is no mixing
	Cover          bool           `json:"cover"`          // loop cover traffic
	Subnets        bool           `json:"subnets"`        // no two hops in one /16 or IPv6 /32
	Geometry       uint8          `json:"geometry"`       // onion packet: 1 small, 2 large
	MailboxTTL     chain.Duration `json:"mailbox_ttl_ms"` // default
	MailboxMost    chain.Duration `json:"mailbox_most_ms"`
	MailboxQuota   uint32         `json:"mailbox_quota"` // items a pairwise mailbox holds

	SlashDoubleDescriptor chain.BasisPoints `json:"slash_double_descriptor_bps"`
	SlashDoubleSeal       chain.BasisPoints `json:"slash_double_seal_bps"`
	SlashDoubleVote       chain.BasisPoints `json:"slash_double_vote_bps"`
	SlashLostMessage      chain.BasisPoints `json:"slash_lost_message_bps"`
	SlashKeyDisclosure    chain.BasisPoints `json:"slash_key_disclosure_bps"`
	SlashUnauthorised     chain.BasisPoints `json:"slash_unauthorised_bps"`
	ReporterShare         chain.BasisPoints `json:"reporter_share_bps"` // of the operator's own loss, at most half

	Versions []string `json:"versions"` // software that may run; empty: any

	ProbesPerRelay uint16         `json:"probes_per_relay"` // an epoch, per listed node
	ProbeDepth     uint8          `json:"probe_depth"`      // least depth of a commitment's tree
	ScoreWindow    uint16         `json:"score_window"`     // epochs that a score counts
	ScoreForgiven  uint16         `json:"score_forgiven"`   // the worst of them, left out
	ScoreLeast     chain.Permille `json:"score_least_permille"`
	VersionGrace   chain.Duration `json:"version_grace_ms"`    // from a change of versions until heartbeats are punished
	ParamsDelay    uint16         `json:"params_delay_epochs"` // least, from the council's last approval until a change is in force
}

// field is one row of the table from which the encoding derives.
type field struct {
	put func([]byte) []byte
	get func(*wire.Reader)
}

func u64[V ~uint64](p *V) field {
	return field{func(b []byte) []byte { return wire.AppendUint64(b, uint64(*p)) }, func(r *wire.Reader) { *p = V(r.Uint64()) }}
}
func u16[V ~uint16](p *V) field {
	return field{func(b []byte) []byte { return wire.AppendUint16(b, uint16(*p)) }, func(r *wire.Reader) { *p = V(r.Uint16()) }}
}

// fields is the one order of the canonical encoding.
func (p *Params) fields() []field {
	flag := func(v *bool) field {
		return field{func(b []byte) []byte { return wire.AppendBool(b, *v) }, func(r *wire.Reader) { *v = r.Bool() }}
	}
	return []field{
		u64(&p.StakingRequirement), u16(&p.MaxContributors), u16(&p.OperatorMinimum), u64(&p.MinFee), u64(&p.BlockReward),
		u64(&p.BlockInterval), u64(&p.EpochLength), u64(&p.HeartbeatEvery), u64(&p.HeartbeatValid), u64(&p.UnlockDelay), u64(&p.DeregisterLock),
		u64(&p.CreditStart), u64(&p.CreditPerDay), u64(&p.CreditMost), u64(&p.CreditLeast),
		u64(&p.ReceiptHorizon), u64(&p.ChallengeWindow), u64(&p.EvidenceAge), u64(&p.CorrelationWindow),
		u16(&p.QuorumSize), u16(&p.QuorumVotes), u16(&p.SwarmTarget), u16(&p.SwarmLeast),
		u16(&p.OnionKeyEpochs), u64(&p.MixingMean), flag(&p.Cover), flag(&p.Subnets),
		{func(b []byte) []byte { return append(b, p.Geometry) }, func(r *wire.Reader) { p.Geometry = r.Uint8() }},
		u64(&p.MailboxTTL), u64(&p.MailboxMost),
		{func(b []byte) []byte { return wire.AppendUint32(b, p.MailboxQuota) }, func(r *wire.Reader) { p.MailboxQuota = r.Uint32() }},
		u16(&p.SlashDoubleDescriptor), u16(&p.SlashDoubleSeal), u16(&p.SlashDoubleVote), u16(&p.SlashLostMessage),
		u16(&p.SlashKeyDisclosure), u16(&p.SlashUnauthorised), u16(&p.ReporterShare),
		{func(b []byte) []byte {
			b = wire.AppendUint32(b, uint32(len(p.Versions)))
			for _, v := range p.Versions {
				b = wire.AppendString(b, v)
			}
			return b
		}, func(r *wire.Reader) {
			for range r.Count(64, 4) {
				p.Versions = append(p.Versions, r.String(MaxVersion))
			}
		}},
		u16(&p.ProbesPerRelay),
		{func(b []byte) []byte { return append(b, p.ProbeDepth) }, func(r *wire.Reader) { p.ProbeDepth = r.Uint8() }},
		u16(&p.ScoreWindow), u16(&p.ScoreForgiven), u16(&p.ScoreLeast), u64(&p.VersionGrace), u16(&p.ParamsDelay),
	}
}

// Encode is the canonical encoding.
func (p Params) Encode() []byte {
	var b []byte
	for _, f := range p.fields() {
		b = f.put(b)
	}
	return b
}

// ReadParams reads a canonical encoding.
func ReadParams(r *wire.Reader) Params {
	var p Params
	for _, f := range p.fields() {
		f.get(r)
	}
	return p
}

// ItemChunks is how many chunks of 256 bytes a stored message has: the size class
// that penalties by size count in. onion/mail has the sizes of a geometry.
func (p *Params) ItemChunks() uint8 {
	if p.Geometry == 2 {
		return 125
	}
	return 5
}

// Allows reports whether software of this version may run; an empty list allows
// any.
func (p *Params) Allows(version string) bool {
	return len(p.Versions) == 0 || slices.Contains(p.Versions, version)
}

// MaxDuration bounds every duration of Params, so that sums of a few of them
// and a time do not overflow.
const MaxDuration = 36_500 * Day

// MaxVersion bounds one of Params.Versions in bytes.
const MaxVersion = 32

// ErrParams means that parameters contradict each other.
var ErrParams = errors.New("genesis: parameters contradict each other")

// Validate refuses parameters under which a rule of the protocol cannot hold.
func (p Params) Validate() error {
	for _, d := range []chain.Duration{p.BlockInterval, p.EpochLength, p.HeartbeatEvery, p.HeartbeatValid, p.UnlockDelay,
		p.DeregisterLock, p.CreditStart, p.CreditPerDay, p.CreditMost, p.CreditLeast, p.ReceiptHorizon, p.ChallengeWindow,
		p.EvidenceAge, p.CorrelationWindow, p.MixingMean, p.MailboxTTL, p.MailboxMost, p.VersionGrace} {
		if d > MaxDuration {
			return fmt.Errorf("%w: a duration of %d ms is above 100 years", ErrParams, d)
		}
	}
	for _, v := range p.Versions {
		if v == "" || len(v) > MaxVersion || strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return fmt.Errorf("%w: version %q must be 1 to %d printable ASCII characters", ErrParams, v, MaxVersion)
		}
	}
	for _, c := range []struct {
		ok  bool
		say string
	}{
		{p.StakingRequirement > 0, "staking_requirement must be above zero"},
		{p.MinFee <= p.StakingRequirement/1000, "min_fee must be at most a thousandth of staking_requirement: what nobody can pay nobody can change back"},
		{p.MaxContributors >= 1 && p.MaxContributors <= 64, "max_contributors must be 1 to 64"},
		{p.OperatorMinimum <= 10_000, "operator_minimum_bps must be at most 10000"},
		{p.EpochLength > 0 && p.BlockInterval > 0 && p.BlockInterval <= p.EpochLength, "block_interval_ms must be above zero and at most epoch_length_ms"},
		{p.HeartbeatEvery > 0 && p.HeartbeatEvery < p.HeartbeatValid, "heartbeat_every_ms must be below heartbeat_valid_ms"},
		{p.ReceiptHorizon+p.EpochLength+p.ChallengeWindow < p.UnlockDelay,
			"receipt_horizon_ms + epoch_length_ms + challenge_window_ms must be below unlock_delay_ms: a challenge waits for the next epoch, then for its answer"},
		{p.EvidenceAge+p.CorrelationWindow < p.UnlockDelay, "evidence_age_ms + correlation_window_ms must be below unlock_delay_ms"},
		{p.DeregisterLock >= p.UnlockDelay, "deregister_lock_ms must be at least unlock_delay_ms: what is locked stays within reach of evidence"},
		{p.CreditLeast <= p.CreditStart && p.CreditStart <= p.CreditMost, "credit_start_ms must be between credit_least_ms and credit_most_ms"},
		{p.ChallengeWindow >= p.CreditMost, "challenge_window_ms must be at least credit_most_ms"},
		{p.QuorumVotes <= p.QuorumSize && p.QuorumVotes > p.QuorumSize/2, "quorum_votes must be a majority of quorum_size"},
		{p.SwarmLeast >= 1 && p.SwarmLeast <= p.SwarmTarget, "swarm_least must be 1 to swarm_target"},
		{p.OnionKeyEpochs >= 2 && p.OnionKeyEpochs <= 64, "onion_key_epochs must be 2 to 64"},
		{p.Geometry == 1 || p.Geometry == 2, "geometry must be 1 (small) or 2 (large)"},
		{p.MailboxTTL > 0 && p.MailboxTTL <= p.MailboxMost, "mailbox_ttl_ms must be above zero and at most mailbox_most_ms"},
		{p.MailboxQuota > 0, "mailbox_quota must be above zero"},
		{p.ReporterShare <= 5_000, "reporter_share_bps must be at most 5000: half of the operator's own loss"},
		{p.SlashKeyDisclosure <= 10_000 && p.SlashDoubleDescriptor <= 10_000 && p.SlashDoubleSeal <= 10_000 &&
			p.SlashDoubleVote <= 10_000 && p.SlashLostMessage <= 10_000 && p.SlashUnauthorised <= 10_000, "a penalty must be at most 10000 basis points"},
		{min(p.SlashDoubleDescriptor, p.SlashDoubleVote, 10_000).Of(p.StakingRequirement) > 0,
			"slash_double_descriptor_bps and slash_double_vote_bps must take something: a key can sign any number of offences, each of which is kept for ever"},
		{len(p.Versions) <= 64, "versions must be at most 64"},
		{p.QuorumSize >= 4 && p.QuorumSize <= 12, "quorum_size must be 4 to 12"},
		{p.ProbesPerRelay >= 1 && p.ProbesPerRelay <= 16, "probes_per_relay must be 1 to 16"},
		{p.ProbeDepth >= 1 && p.ProbeDepth <= 20, "probe_depth must be 1 to 20"},
		{p.ScoreWindow >= 4 && p.ScoreWindow <= 64, "score_window must be 4 to 64"},
		{p.ScoreForgiven <= p.ScoreWindow-4, "score_forgiven must leave at least 4 epochs of score_window"},
		{p.ScoreLeast <= 1000, "score_least_permille must be at most 1000"},
		{p.ParamsDelay >= 1, "params_delay_epochs must be at least 1"},
	} {
		if !c.ok {
			return fmt.Errorf("%w: %s", ErrParams, c.say)
		}
	}
	return nil
}
