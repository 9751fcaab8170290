package genesis

import "fmt"

// Profile names a set of parameters.
type Profile string

// The three profiles.
const (
	Mainnet Profile = "mainnet"
	Private Profile = "private"
	Dev     Profile = "dev"
)

// For returns the parameters of a profile.
func For(p Profile) (Params, error) {
	base := Params{
		StakingRequirement: 2000e9, MaxContributors: 10, OperatorMinimum: 2500, MinFee: 1000, BlockReward: 1e9,
		QuorumSize: 10, QuorumVotes: 7, SwarmTarget: 7, SwarmLeast: 5,
		OnionKeyEpochs: 24, Geometry: 1, MailboxTTL: 48 * Hour, MailboxMost: 14 * Day, MailboxQuota: 4096,
		SlashDoubleDescriptor: 500, SlashDoubleSeal: 500, SlashDoubleVote: 200, SlashLostMessage: 100,
		SlashKeyDisclosure: 10_000, SlashUnauthorised: 50, ReporterShare: 5_000,
		ProbesPerRelay: 4, ScoreWindow: 10, ScoreForgiven: 4, ScoreLeast: 920,
	}
	switch p {
	case Mainnet:
		base.BlockInterval, base.EpochLength = 30*Second, Hour
		base.HeartbeatEvery, base.HeartbeatValid = Hour, 2*Hour+5*Minute
		base.UnlockDelay, base.DeregisterLock = 15*Day, 30*Day
		base.CreditStart, base.CreditPerDay, base.CreditMost, base.CreditLeast = 2*Hour, 48*Minute, 48*Hour, 2*Hour
		base.ReceiptHorizon, base.ChallengeWindow, base.EvidenceAge, base.CorrelationWindow = 12*Day, 54*Hour, 7*Day, 7*Day
		base.MixingMean, base.Cover, base.Subnets = 100, true, true
		base.ProbeDepth, base.VersionGrace, base.ParamsDelay = 14, 14*Day, 168
	case Private:
		base.BlockInterval, base.EpochLength = 5*Second, 10*Minute
		base.HeartbeatEvery, base.HeartbeatValid = 10*Minute, 21*Minute
		base.UnlockDelay, base.DeregisterLock = Day, 2*Day
		base.CreditStart, base.CreditPerDay, base.CreditMost, base.CreditLeast = 20*Minute, 8*Minute, 8*Hour, 20*Minute
		base.ReceiptHorizon, base.ChallengeWindow, base.EvidenceAge, base.CorrelationWindow = 12*Hour, 9*Hour, 12*Hour, 8*Hour
		base.MixingMean, base.Cover, base.Subnets = 100, true, false
		base.ProbeDepth, base.VersionGrace, base.ParamsDelay = 10, Day, 6
	case Dev:
		base.BlockInterval, base.EpochLength = Second, 10*Second
		base.HeartbeatEvery, base.HeartbeatValid = 4*Second, 25*Second
		base.UnlockDelay, base.DeregisterLock = 10*Minute, 20*Minute
		// 10 s a minute is 4 h a day.
		base.CreditStart, base.CreditPerDay, base.CreditMost, base.CreditLeast = 20*Second, 4*Hour, 50*Second, 10*Second
		base.ReceiptHorizon, base.ChallengeWindow, base.EvidenceAge, base.CorrelationWindow = 5*Minute, 60*Second, 5*Minute, 4*Minute
		base.SwarmTarget, base.SwarmLeast = 3, 2
		base.MixingMean, base.Cover, base.Subnets = 0, false, true
		base.ProbeDepth, base.VersionGrace, base.ParamsDelay = 6, 30*Second, 2
	default:
		return Params{}, fmt.Errorf("genesis: unknown profile %q; use mainnet, private or dev", p)
	}
	return base, nil
}

// Claim says in one sentence what traffic under p is protected against, for
// the start of a network. It speaks of what relays and clients of this version
// do.
func (p Params) Claim() string {
	const ends = "; no single relay knows both ends, contents are end-to-end encrypted"
	mixing := fmt.Sprintf("mixing mean %d ms per hop", p.MixingMean)
	switch {
	case p.MixingMean == 0 && !p.Cover:
		return "no mixing, no cover: no protection against timing" + ends
	case p.MixingMean == 0:
		return "no mixing, cover by loops: a client's link does not show when its user writes, whoever watches several links can follow a packet" + ends
	case !p.Cover:
		return mixing + ", no cover: timing is blurred a little, a client's link shows when its user writes, a global observer is not stopped" + ends
	}
	return mixing + ", cover by loops: a client's link does not show when its user writes, timing between links is blurred, whoever watches many links for long is not stopped" + ends
}
