package pages

// paramInfo says of a parameter how it is shown and what it means, as
// docs/spec/parameters.md does.
type paramInfo struct{ Name, Unit, Means string }

// Units of parameters.
const (
	unitAmount   = "amount"
	unitMs       = "ms"
	unitBps      = "bps"
	unitPermille = "permille"
	unitCount    = "count"
	unitSwitch   = "switch"
	unitGeometry = "geometry"
	unitVersions = "versions"
)

// paramGroup is a part of the table.
type paramGroup struct {
	Title  string
	Params []paramInfo
}

var paramGroups = []paramGroup{
	{"Stake and fees", []paramInfo{
		{"staking_requirement", unitAmount, "stake at which a node is fully staked"},
		{"max_contributors", unitCount, "accounts that may bond to one node, operator included"},
		{"operator_minimum_bps", unitBps, "the operator's part of the requirement"},
		{"min_fee", unitAmount, "least fee of an account transaction; it burns"},
		{"block_reward", unitAmount, "what a block pays, out of the pool"},
		{"unlock_delay_ms", unitMs, "from the request until stake can be withdrawn"},
		{"deregister_lock_ms", unitMs, "the same after deregistration"},
	}},
	{"Time", []paramInfo{
		{"block_interval_ms", unitMs, "from one block to the next"},
		{"epoch_length_ms", unitMs, "for so long a directory is frozen"},
		{"heartbeat_every_ms", unitMs, "a node's heartbeat is due"},
		{"heartbeat_valid_ms", unitMs, "it counts for so long"},
		{"onion_key_epochs", unitCount, "epochs that an onion key lives"},
	}},
	{"Credit: how long a node may be out", []paramInfo{
		{"credit_start_ms", unitMs, "what a new node has"},
		{"credit_per_day_ms", unitMs, "gained by a day of uptime"},
		{"credit_most_ms", unitMs, "the most that it can save up"},
		{"credit_least_ms", unitMs, "least to be decommissioned, not deregistered"},
	}},
	{"Quorums and scores", []paramInfo{
		{"quorum_size", unitCount, "nodes that are drawn to judge one"},
		{"quorum_votes", unitCount, "votes that have to agree"},
		{"probes_per_relay", unitCount, "probes an epoch, per listed node"},
		{"probe_depth", unitCount, "least depth of a commitment's tree"},
		{"score_window", unitCount, "epochs that a score counts"},
		{"score_forgiven", unitCount, "the worst of them, left out"},
		{"score_least_permille", unitPermille, "below it a node fails"},
	}},
	{"Slashing", []paramInfo{
		{"slash_double_descriptor_bps", unitBps, "two descriptors under one sequence; of the stake at the time of the offence"},
		{"slash_double_seal_bps", unitBps, "two headers for one height; no effect today"},
		{"slash_double_vote_bps", unitBps, "two votes on one node in one epoch"},
		{"slash_lost_message_bps", unitBps, "a promised message not there; no effect today"},
		{"slash_key_disclosure_bps", unitBps, "a node's key known to others; no effect today"},
		{"slash_unauthorised_bps", unitBps, "software that may not run"},
		{"reporter_share_bps", unitBps, "the reporter's part of the operator's own loss"},
		{"evidence_age_ms", unitMs, "older proofs are refused"},
		{"correlation_window_ms", unitMs, "many offences within it cost more each"},
	}},
	{"Software", []paramInfo{
		{"versions", unitVersions, "software that may run"},
		{"version_grace_ms", unitMs, "from a change of the list until heartbeats are punished"},
	}},
	{"Packets and mailboxes", []paramInfo{
		{"geometry", unitGeometry, "size of onion packets"},
		{"mixing_mean_ms", unitMs, "mean delay a hop"},
		{"cover", unitSwitch, "cover traffic; none is sent today"},
		{"subnets", unitSwitch, "no two hops of a path in one IPv4 /16 or IPv6 /32"},
		{"swarm_target", unitCount, "nodes of a new swarm; there is about one for each so many"},
		{"swarm_least", unitCount, "a smaller one that cannot be filled is dissolved"},
		{"mailbox_ttl_ms", unitMs, "a message is kept, unless it says otherwise"},
		{"mailbox_most_ms", unitMs, "and at most"},
		{"mailbox_quota", unitCount, "items that a pairwise mailbox holds"},
		{"receipt_horizon_ms", unitMs, "the longest that a storage receipt promises"},
		{"challenge_window_ms", unitMs, "time to answer a challenge"},
	}},
	{"Changes", []paramInfo{
		{"params_delay_epochs", unitCount, "least, from the council's last approval until a change is in force"},
	}},
}
